// The package as it is published: packed, installed elsewhere, used from ES modules, CommonJS and TypeScript, and as its README says.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { PACKAGE, startNode } from './node.mjs';

const TSC = join(PACKAGE, 'node_modules/typescript/bin/tsc');
let dir;
let node;
let env;

const run = (program, args, options = {}) => execFileSync(program, args, { cwd: dir, env, encoding: 'utf8', ...options });

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'artifacts-package-'));
  node = await startNode();
  env = { ...process.env, TONBO_API_URL: node.url, TONBO_API_KEY: await node.account('acme') };
  const packed = run('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', dir], { cwd: PACKAGE }).trim();
  writeFileSync(join(dir, 'package.json'), JSON.stringify({ private: true, type: 'module' }));
  run('npm', ['install', '--silent', '--offline', '--no-audit', '--no-fund', join(dir, packed)]);
  // For the compiler alone.
  mkdirSync(join(dir, 'node_modules/@types'), { recursive: true });
  symlinkSync(join(PACKAGE, 'node_modules/@types/node'), join(dir, 'node_modules/@types/node'));
  symlinkSync(join(PACKAGE, 'node_modules/undici-types'), join(dir, 'node_modules/undici-types'));
});
after(() => {
  node.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Compiles a program as a strict user would, and runs it. */
function compileAndRun(name, text, module = 'NodeNext') {
  writeFileSync(join(dir, name), text);
  const resolution = module === 'NodeNext' ? 'NodeNext' : 'Node10';
  run(process.execPath, [TSC, '--strict', '--target', 'ES2022', '--lib', 'ES2022', '--types', 'node', '--module', module, '--moduleResolution', resolution, name], { stdio: ['ignore', 'inherit', 'inherit'] });
  return run(process.execPath, [name.replace(/ts$/, 'js')]);
}

test('there is nothing in it but what is needed, and it needs nothing', () => {
  const installed = JSON.parse(readFileSync(join(dir, 'node_modules/@tonbo/artifacts/package.json'), 'utf8'));
  assert.deepEqual(installed.dependencies ?? {}, {});
  const version = /'(.*)'/.exec(readFileSync(join(PACKAGE, 'src/version.ts'), 'utf8'))[1];
  assert.equal(installed.version, version);
});

test('from an ES module', () => {
  writeFileSync(join(dir, 'esm.mjs'), "import { Artifacts } from '@tonbo/artifacts';\nconsole.log((await new Artifacts().whoami()).account.handle);\n");
  assert.equal(run(process.execPath, ['esm.mjs']).trim(), 'acme');
});

test('from CommonJS', () => {
  writeFileSync(join(dir, 'old.cjs'), "const { Artifacts, ApiError } = require('@tonbo/artifacts');\nnew Artifacts({ apiKey: 'x' }).whoami().catch((error) => console.log(error instanceof ApiError, error.code));\n");
  assert.equal(run(process.execPath, ['old.cjs']).trim(), 'true unauthorized');
});

test('from TypeScript, with its types checked', () => {
  const text = `
    import { Artifacts, type Tenant } from '@tonbo/artifacts';
    const artifacts = new Artifacts();
    const tenant: Tenant = await artifacts.platform.createTenant('typed', { metadata: { a: 1 } });
    // @ts-expect-error: there is no such mode
    artifacts.platform.createMountTicket('typed', 'r', { workspace: 'w', mode: 'x', ttlSeconds: 1 }).catch(() => {});
    // @ts-expect-error: a ticket has an end
    artifacts.platform.createMountTicket('typed', 'r', { workspace: 'w', mode: 'rw' }).catch(() => {});
    console.log(tenant.slug);
  `;
  assert.equal(compileAndRun('typed.ts', text).trim(), 'typed');
});

test('the README, from top to bottom', () => {
  const readme = readFileSync(join(PACKAGE, 'README.md'), 'utf8');
  const snippets = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, text]) => text);
  assert.ok(snippets.length >= 4);
  const imports = snippets.flatMap((text) => text.split('\n').filter((line) => line.startsWith('import ')));
  const body = snippets.map((text, index) => `// snippet ${index + 1}\n${text.split('\n').filter((line) => !line.startsWith('import ')).join('\n')}`);
  compileAndRun('readme.ts', `${[...new Set(imports)].join('\n')}\n${body.join('\n')}`);
});
