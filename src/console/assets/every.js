// Work that is done again and again while a view is shown.

// Waits; ends early, and quietly, when `signal` aborts.
export function pause(seconds, signal) {
  return new Promise((done) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      done();
    };
    const timer = setTimeout(end, seconds * 1000);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}

// Calls `work` every `seconds` until `signal` aborts. A page that nobody sees does not ask.
export async function every(seconds, signal, work) {
  for (;;) {
    await pause(seconds, signal);
    if (signal.aborted) return;
    if (!document.hidden) await work();
  }
}
