// Faults that are planted into the console's files and answers, to see that the tests find them: `node faults.mjs`.

/** Which fault is planted, by JETON_CONSOLE_FAULT; none in a true run. */
export const FAULTS = {};

/** Plants the fault of this run into what the page gets. */
export async function plant(page) {
  const name = process.env.JETON_CONSOLE_FAULT;
  if (!name) return;
  const fault = FAULTS[name];
  if (!fault) throw new Error(`there is no fault \`${name}\``);
  for (const [file, change] of Object.entries(fault.files ?? {})) {
    await page.route((url) => url.pathname.endsWith(file), async (route) => {
      const answer = await route.fetch();
      const before = await answer.text();
      const after = change(before);
      if (after === before) throw new Error(`the fault \`${name}\` changes nothing in ${file}`);
      await route.fulfill({ response: answer, body: after });
    });
  }
}
