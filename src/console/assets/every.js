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
    if (document.hidden) await seen(signal);
    if (signal.aborted) return;
    await work();
  }
}

function seen(signal) {
  return new Promise((done) => {
    const look = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener("visibilitychange", look);
      signal.removeEventListener("abort", look);
      done();
    };
    document.addEventListener("visibilitychange", look);
    signal.addEventListener("abort", look);
    look();
  });
}
