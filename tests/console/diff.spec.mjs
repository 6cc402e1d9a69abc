import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { Server, edit, editOrders, expect, samplePolicies, settled, test } from './support/test.mjs';

/** What each change of the command says, and what its element must. */
async function compare(page, difference) {
  const changes = page.getByTestId('change');
  await expect(changes).toHaveCount(difference.changes.length);
  const shown = await changes.evaluateAll((all) => all.map((one) => ({
    effect: one.dataset.effect,
    words: [one.innerText, ...[...one.querySelectorAll('[title]')].map(({ title }) => title)].join('\n'),
    taken: false,
  })));
  for (const change of difference.changes) {
    const who = typeof change.who === 'string' ? null : Object.values(change.who)[0];
    const wanted = [change.what, who, change.on ?? change.where, change.witness?.path].filter(Boolean).map(String);
    const found = shown.find(({ effect, words, taken }) => !taken && effect === change.effect && wanted.every((text) => words.includes(text)));
    expect(found, `${JSON.stringify(change)} among\n${shown.map(({ effect, words }) => `${effect}: ${words}`).join('\n---\n')}`).toBeTruthy();
    found.taken = true;
  }
  for (const effect of ['gains', 'loses']) {
    await expect(page.locator(`[data-testid="change"][data-effect="${effect}"]`)).toHaveCount(difference.changes.filter((one) => one.effect === effect).length);
  }
}

test('the difference to the candidate is that of the command', async ({ page, sample, visit }) => {
  const expected = sample.json(['policies', 'diff', 'policies', 'candidate'], { allow: [0, 1, 3] });
  expect(expected.gains).toBeGreaterThan(0);
  expect(expected.losses).toBeGreaterThan(0);
  const answer = await sample.api('diff?with=candidate');
  expect(answer.difference).toEqual(expected);
  await visit(sample, '#/diff');
  await compare(page, expected);
});

test('changes can be seen by client', async ({ page, sample, visit }) => {
  await visit(sample, '#/diff');
  await expect(page.getByTestId('change').first()).toBeVisible();
  await expect(page.locator('main')).toContainText('globex-sync');
  await expect(page.locator('main')).toContainText('/reports/');
});

test('without a second side it says how to name one', async ({ page, big, visit }) => {
  await visit(big, '#/diff');
  await expect(page.locator('main')).toContainText('policies.candidate');
  await expect(page.locator('main')).toContainText('console.compare');
  await expect(page.getByTestId('change')).toHaveCount(0);
});

test('a folder is the new side', async ({ page, visit }) => {
  const server = await Server.start({
    fill: async (folder) => {
      await samplePolicies(folder);
      await samplePolicies(folder, 'next');
      await editOrders(join(folder, 'next'));
    },
    settings: { console: { compare: 'next' } },
  });
  try {
    const expected = server.json(['policies', 'diff', 'policies', 'next'], { allow: [0, 1, 3] });
    expect((await server.api('diff?with=compare')).difference).toEqual(expected);
    await visit(server, '#/diff');
    await compare(page, expected);
    // the other way round, the same edit is not the same
    expect(expected).not.toEqual(server.json(['policies', 'diff', 'next', 'policies'], { allow: [0, 1, 3] }));
  } finally {
    await server.stop();
  }
});

test('a Git revision is the old side, and a side that does not load is said', async ({ page, visit }) => {
  const git = (folder, ...words) => execFileSync('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@example.com', '-c', 'safe.directory=*', ...words], { stdio: 'pipe' });
  const server = await Server.start({
    fill: async (folder) => {
      await samplePolicies(folder);
      git(folder, 'init', '--quiet');
      git(folder, 'add', 'policies');
      git(folder, 'commit', '--quiet', '--message', 'Policies');
      await editOrders(join(folder, 'policies'));
    },
    settings: { console: { compare: 'HEAD' } },
  });
  try {
    const expected = server.json(['policies', 'diff', '--git', 'HEAD', 'policies'], { allow: [0, 1, 3] });
    expect(expected.changes.length).toBeGreaterThan(1);
    expect((await server.api('diff?with=compare')).difference).toEqual(expected);
    await visit(server, '#/diff');
    await compare(page, expected);
    // the revision is read again: now it holds what does not load
    await edit(join(server.policies, 'jeton.yaml'), 'operator: [jeton:ops, jeton:principal]', 'operator: [jeton:nothing]');
    git(server.folder, 'commit', '--quiet', '--all', '--message', 'A mistake');
    await page.reload();
    await settled(page);
    await expect(page.locator('main')).toContainText('jeton:nothing');
    await expect(page.getByTestId('change')).toHaveCount(0);
  } finally {
    await server.stop();
  }
});
