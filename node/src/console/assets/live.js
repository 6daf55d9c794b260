// Work that goes on for as long as a page is shown.

/** Waits, unless the page is left. */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal.addEventListener('abort', stop, { once: true });
  });
}

function visible(signal) {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve, reject) => {
    document.addEventListener('visibilitychange', resolve, { once: true, signal });
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** Does it again and again, `ms` after the time before, but not while nobody looks. Ends when the page is left, or with what it throws. */
export async function repeat(ms, signal, work) {
  for (;;) {
    await visible(signal);
    await work();
    await pause(ms, signal);
  }
}
