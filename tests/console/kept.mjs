// Processes that end with the test, in whatever way it ends.
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';

// Its standard input ends with the test process; then it ends what it runs, by its id. Lines of it are signals.
const KEEPER = `trap '' INT TERM HUP
"$@" </dev/null & kept=$!
while read -r signal; do kill -s "$signal" "$kept"; done
kill -9 "$kept" 2>/dev/null
wait "$kept" 2>/dev/null
[ -z "$AFTER" ] || sh -c "$AFTER"`;

/** Runs a program; `after` is a line of shell for when it has ended. Gives `end`, which ends it, and `signal`, which sends it one. */
export function keep([program, ...args], { log, env = {}, after = '' } = {}) {
  const out = log ? openSync(log, 'a') : 'ignore';
  const child = spawn('sh', ['-c', KEEPER, 'sh', program, ...args], {
    stdio: ['pipe', out, out],
    env: { ...process.env, ...env, AFTER: after },
    detached: true,
  });
  if (log) closeSync(out);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  return {
    signal: (name) => child.stdin.write(`${name}\n`),
    end: () => {
      child.stdin.end();
      return ended;
    },
  };
}

/** Waits until something is so. */
export async function until(what, isSo, patienceMs = 60_000) {
  const end = Date.now() + patienceMs;
  let last;
  while (Date.now() < end) {
    try {
      const found = await isSo();
      if (found) return found;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`still not so after ${patienceMs} ms: ${what}`, { cause: last });
}
