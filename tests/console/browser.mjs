// A browser that notes what must not happen: errors in its console, and requests to anywhere but the node.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { chromium } from 'playwright-core';

const require = createRequire(import.meta.url);
const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
export const SHOTS = fileURLToPath(new URL('../../target/console', import.meta.url));
export const DESK = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };
const ROOT_NEEDS = process.getuid() === 0 ? ['--no-sandbox'] : [];

/** Starts Chromium; `CHROMIUM` names its program if it is elsewhere. */
export async function startBrowser(origin) {
  mkdirSync(SHOTS, { recursive: true });
  const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
  const browser = await chromium.launch({ executablePath, args: ['--disable-gpu', '--disable-dev-shm-usage', ...ROOT_NEEDS] });
  const context = await browser.newContext({ viewport: DESK, acceptDownloads: true, reducedMotion: 'reduce' });
  context.setDefaultTimeout(30_000);
  const noted = { errors: [], strangers: [], expected: [] };
  const page = await context.newPage();
  page.on('request', (request) => {
    const url = request.url();
    if (!url.startsWith(`${origin}/`) && !url.startsWith('blob:') && !url.startsWith('data:')) noted.strangers.push(url);
    if (new URL(url).search.includes('tbo_')) noted.strangers.push(`a key in ${url}`);
  });
  page.on('pageerror', (error) => noted.errors.push(`${error}`));
  page.on('console', (message) => {
    if (!['error', 'warning'].includes(message.type())) return;
    const text = `${message.text()} ${message.location().url}`;
    if (!noted.expected.some((pattern) => pattern.test(text))) noted.errors.push(text);
  });
  return { browser, page, noted };
}

/** Fails if axe finds anything. */
export async function checkAccessible(page, what) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  const told = violations.map(({ id, help, nodes }) => `${id}: ${help}\n${nodes.slice(0, 3).map((node) => `  ${node.html}\n  ${node.failureSummary}`).join('\n')}`);
  assert.equal(told.length, 0, `${what}:\n${told.join('\n')}`);
}

/** Keeps a picture of the page. */
export async function shoot(page, name) {
  await page.screenshot({ path: join(SHOTS, `${name}.png`), fullPage: true, animations: 'disabled' });
}
