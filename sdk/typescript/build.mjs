// Compiles the sources twice, to ES modules and to CommonJS. Each half of `dist` says which it is in a package.json of its own.
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const tsc = join(here, 'node_modules', 'typescript', 'bin', 'tsc');

rmSync(join(here, 'dist'), { recursive: true, force: true });
for (const [folder, type, options] of [
  ['esm', 'module', ['--module', 'ES2022', '--moduleResolution', 'Bundler']],
  ['cjs', 'commonjs', ['--module', 'CommonJS', '--moduleResolution', 'Node10']],
]) {
  const out = join(here, 'dist', folder);
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'package.json'), `${JSON.stringify({ type })}\n`);
  execFileSync(process.execPath, [tsc, '-p', here, '--outDir', out, ...options], { stdio: 'inherit' });
}
