// What the console asks of its server. A bearer is kept in memory alone.

// An answer that is none: `status` (0 where the server was not reached) and `detail`, in words.
export class Problem extends Error {
  constructor(status, detail) {
    super(detail);
    this.name = "Problem";
    this.status = status;
    this.detail = detail;
  }
}

let bearer = null;
let ask = null;

// `asker(detail)` returns a promise of a bearer: it is called where the server wants one.
export function askForBearer(asker) {
  ask = asker;
}

// A token as people paste it: without the name of the header and of its scheme, or out of the answer of the token endpoint.
export const pasted = (text) =>
  (text.match(/"access_token":\s*"([^"]*)/)?.[1] ?? text).trim().replace(/^(authorization:\s*)?((bearer|dpop)\s+)?/i, "");

export const get = (path, signal) => answer(path, { signal });

export const post = (path, body, signal) =>
  answer(path, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body), signal });

// The events of a stream, as they come: `for await (const { event, data } of events("live", signal))`; `data` is parsed JSON.
// The first event is `open`: the server has answered.
export async function* events(path, signal) {
  const response = await request(path, { signal });
  yield { event: "open", data: null };
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    held += value;
    const blocks = held.split(/\r?\n\r?\n/);
    held = blocks.pop();
    for (const block of blocks) {
      const found = event(block);
      if (found) yield found;
    }
  }
}

// One block of a stream, whose data are on one line; a comment is none.
function event(block) {
  const value = (key) => block.match(new RegExp(`^${key}: ?(.*)$`, "m"))?.[1];
  const data = value("data");
  return data && { event: value("event") ?? "message", data: JSON.parse(data) };
}

async function answer(path, options) {
  return (await request(path, options)).json();
}

async function request(path, options) {
  for (;;) {
    const used = bearer;
    const response = await send(path, options);
    if (response.ok) return response;
    const problem = new Problem(response.status, await detail(response));
    if (response.status === 403 && used) {
      problem.detail += ": it needs the scope jeton:ops";
      // another token may be allowed to: the next question asks for one
      if (bearer === used) bearer = null;
    }
    if (response.status !== 401 || !ask) throw problem;
    // another question may have got a bearer meanwhile
    if (bearer === used) bearer = await unlessAborted(ask(used ? problem.detail : null), options.signal);
  }
}

async function send(path, options) {
  const headers = { accept: "application/json, text/event-stream", ...options.headers };
  // a token has none of what this escapes and no header can carry, such as curly quotes: the server refuses it
  if (bearer) headers.authorization = `Bearer ${encodeURI(bearer)}`;
  try {
    return await fetch(`api/${path}`, { ...options, headers, credentials: "omit", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "The server did not answer. Is it still running?");
  }
}

async function detail(response) {
  const body = await response.json().catch(() => null);
  return body?.detail ?? body?.title ?? `The server answered ${response.status}.`;
}

const unlessAborted = (promise, signal) =>
  Promise.race([promise, new Promise((_, reject) => signal?.addEventListener("abort", () => reject(signal.reason)))]);
