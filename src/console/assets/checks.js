// Checks of edited policies: one at a time, the newest text alone.

import { pause } from "./every.js";

// What the server takes, in bytes.
const MOST_BYTES = 4 * 1024 * 1024;
// A pause in typing, in seconds; after it the text is checked.
const IDLE = 0.6;
// The first wait for a server that checks another text, in seconds, and the longest.
const [FIRST_WAIT, LONGEST_WAIT] = [0.5, 4];

// `body()` is what is to be checked; `onstate(state, detail)` is told `waiting`, `checking`, `busy`, `failed`,
// `too-large`; `onanswer(answer)` gets the answer of the text as it is.
export function checking({ api, signal, body, onstate, onanswer }) {
  let running = new AbortController();
  let timer = null;

  function later() {
    stop();
    onstate("waiting");
    timer = setTimeout(now, IDLE * 1000);
  }

  // An answer about an older text is never seen: its request is aborted.
  function stop() {
    clearTimeout(timer);
    running.abort();
    running = new AbortController();
  }

  async function now() {
    stop();
    const mine = AbortSignal.any([signal, running.signal]);
    const asked = body();
    const bytes = new TextEncoder().encode(JSON.stringify(asked)).length;
    if (bytes > MOST_BYTES) {
      onstate("too-large", `The texts have ${mebibytes(bytes)} MiB. The server checks at most ${mebibytes(MOST_BYTES)} MiB.`);
      return;
    }
    try {
      const answer = await whenFree(() => api.post("check", asked, mine), mine);
      if (!mine.aborted) onanswer(answer);
    } catch (error) {
      if (!mine.aborted) onstate("failed", error.message);
    }
  }

  async function whenFree(ask, mine) {
    for (let wait = FIRST_WAIT; ; wait = Math.min(wait * 2, LONGEST_WAIT)) {
      onstate("checking");
      try {
        return await ask();
      } catch (error) {
        if (mine.aborted || error.status !== 503) throw error;
        onstate("busy", error.message);
        await pause(wait, mine);
        if (mine.aborted) throw error;
      }
    }
  }

  signal.addEventListener("abort", () => clearTimeout(timer));
  return { now, later };
}

const mebibytes = (bytes) => (bytes / 1024 / 1024).toLocaleString("en", { maximumFractionDigits: 1 });
