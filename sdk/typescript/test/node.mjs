// A control node for tests: a process on a free port of the loopback interface, with an account of its own. Nothing of it is left.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const PACKAGE = join(dirname(fileURLToPath(import.meta.url)), '..');
const BINARY = process.env.ARTIFACTS_BIN ?? join(PACKAGE, '../../target/debug/artifacts');
const PATIENCE_MS = 60_000;

/** Starts one. `stop` ends it. */
export async function startNode() {
  const dir = mkdtempSync(join(tmpdir(), 'artifacts-sdk-'));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(BINARY, ['node', '--data', join(dir, 'data'), '--listen', `127.0.0.1:${port}`], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.on('data', (text) => (log = (log + text).slice(-8192)));
  const stop = () => {
    child.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  };
  process.once('exit', stop);
  await new Promise((resolve, reject) => child.once('spawn', resolve).once('error', reject));
  const end = Date.now() + PATIENCE_MS;
  while (!(await fetch(`${url}/readyz`).then((answer) => answer.ok, () => false))) {
    if (child.exitCode !== null || Date.now() > end) throw new Error(`the node does not get ready:\n${log}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const token = readFileSync(join(dir, 'data', 'admin-token'), 'utf8').trim();
  const account = async (handle) => {
    const answer = await fetch(`${url}/v1/accounts`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ handle }),
    });
    return (await answer.json()).api_key.key;
  };
  const openapi = () => fetch(`${url}/openapi.json`).then((answer) => answer.json());
  return { url, stop, account, openapi };
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
