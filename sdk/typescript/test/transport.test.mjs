// What is sent again, when, and what comes of it, without a node.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';

import * as sdk from '../dist/esm/index.js';
import { isTransient, pauseMs, retryAfterMs } from '../dist/esm/retry.js';
import { EventParser } from '../dist/esm/event-stream.js';

const { Artifacts } = sdk;

/** A client whose answers are scripted: each a status and a body, or an error to throw. */
function scripted(answers, options = {}) {
  const requests = [];
  const fetch = async (url, init) => {
    requests.push({ url, key: init.headers['idempotency-key'], init });
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    const [status, body = {}, headers = {}] = answer;
    return new Response(body === null ? null : JSON.stringify(body), { status, headers });
  };
  return { client: new Artifacts({ apiKey: 'tbo_test', baseUrl: 'http://node.invalid/', fetch, ...options }), requests };
}

const refusal = (code) => ({ code, message: `it is ${code}`, hint: 'do this', request_id: 'req_1' });
const network = () => Object.assign(new TypeError('fetch failed'), { cause: new Error('connect ECONNREFUSED') });

test('all tries of one call bear one idempotency key, and another call another', async () => {
  const { client, requests } = scripted([network(), [503, refusal('unavailable')], [201, { slug: 'a' }], [201, { slug: 'b' }]]);
  assert.deepEqual(await client.platform.createTenant('a'), { slug: 'a' });
  await client.platform.createTenant('b');
  const keys = requests.map(({ key }) => key);
  assert.equal(keys.length, 4);
  assert.ok(keys[0] && keys[0] === keys[1] && keys[1] === keys[2] && keys[2] !== keys[3], String(keys));
});

test("the caller's own idempotency key is used", async () => {
  const { client, requests } = scripted([[201]]);
  await client.platform.createTenant('a', { idempotencyKey: 'mine' });
  assert.equal(requests[0].key, 'mine');
});

test('what would fail again is not sent again', async () => {
  for (const [status, code] of [[401, 'unauthorized'], [404, 'tenant_not_found'], [409, 'tenant_exists'], [422, 'invalid_request'], [500, 'internal']]) {
    const { client, requests } = scripted([[status, refusal(code)]]);
    await assert.rejects(client.platform.getTenant('a'), { code, status });
    assert.equal(requests.length, 1);
  }
});

test('retries end', async () => {
  const { client, requests } = scripted([network(), network(), network()], { retries: 2 });
  await assert.rejects(client.platform.getTenant('a'), (error) => error instanceof sdk.ConnectionError && /ECONNREFUSED/.test(error.message));
  assert.equal(requests.length, 3);
});

test('an error has the class of its code, and all that the node says', async () => {
  const { client } = scripted([[404, refusal('workspace_not_found')]]);
  const error = await client.workspaces.get('acme/none').catch((thrown) => thrown);
  assert.ok(error instanceof sdk.WorkspaceNotFoundError && error instanceof sdk.NotFoundError && error instanceof sdk.ApiError);
  assert.equal(error.name, 'WorkspaceNotFoundError');
  assert.deepEqual([error.code, error.message, error.hint, error.requestId], ['workspace_not_found', 'it is workspace_not_found', 'do this', 'req_1']);
});

test('a code of a newer node, or an answer that is none of a node, is an error all the same', async () => {
  const { client } = scripted([[409, refusal('constructor')], [418, 'teapot', { 'x-request-id': 'req_2' }]]);
  const newer = await client.platform.getTenant('a').catch((thrown) => thrown);
  assert.ok(newer instanceof sdk.ApiError && newer.code === 'constructor');
  const other = await client.platform.getTenant('a').catch((thrown) => thrown);
  assert.deepEqual([other.constructor, other.code, other.requestId], [sdk.ApiError, 'http_418', 'req_2']);
});

test('a redirect is not followed with the key', async () => {
  const { client, requests } = scripted([[302, null, { location: 'http://elsewhere.invalid' }]]);
  await assert.rejects(client.platform.getTenant('a'), { code: 'http_302' });
  assert.equal(requests[0].init.redirect, 'manual');
});

test('a delete that may have been done says so when it finds nothing', async () => {
  const { client } = scripted([network(), [404, refusal('grant_not_found')]]);
  await assert.rejects(client.platform.revokeAccessGrant('grt_1'), (error) => error instanceof sdk.GrantNotFoundError && /may have done it/.test(error.hint));
});

test('pauses grow, spread, and are as long as the node asks', () => {
  const error = (status, retryAfterMs) => new sdk.ApiError({ code: 'x', message: 'x', status, retryAfterMs });
  assert.equal(pauseMs(error(503), 1, 0), 125);
  assert.equal(pauseMs(error(503), 1, 1), 250);
  assert.equal(pauseMs(error(503), 3, 1), 1000);
  assert.equal(pauseMs(error(503), 30, 1), 8000);
  assert.equal(pauseMs(error(429, 2000), 1, 0), 2000);
  assert.ok(pauseMs(error(429, 2000), 1, 1) > 2000);
  assert.equal(pauseMs(error(503, 61_000), 1, 0), undefined);
  assert.equal(pauseMs(error(500), 1, 0), undefined);
  assert.ok(isTransient(new sdk.TimeoutError('x')) && !isTransient(new Error('x')));
  assert.equal(retryAfterMs('3', 0), 3000);
  assert.equal(retryAfterMs('Thu, 01 Jan 1970 00:00:05 GMT', 1000), 4000);
  assert.equal(retryAfterMs('Thu, 01 Jan 1970 00:00:05 GMT', 9000), 0);
  assert.equal(retryAfterMs('soon', 0), undefined);
  assert.equal(retryAfterMs(null, 0), undefined);
});

test('a signal ends a call, a pause between tries, and a list', async () => {
  const aborted = new AbortController();
  aborted.abort(new Error('enough'));
  const { client, requests } = scripted([]);
  await assert.rejects(client.platform.getTenant('a', { signal: aborted.signal }), /enough/);
  await assert.rejects(client.platform.listTenants({ signal: aborted.signal }).all(), /enough/);
  assert.equal(requests.length, 0);
  const paused = new AbortController();
  const waiting = scripted([[503, refusal('unavailable'), { 'retry-after': '50' }]]);
  setTimeout(() => paused.abort(new Error('no longer')), 20);
  await assert.rejects(waiting.client.platform.getTenant('a', { signal: paused.signal }), /no longer/);
});

test('a call ends at its time limit, and with its signal, though the server says nothing', async (context) => {
  const server = createServer(() => {}).listen(0, '127.0.0.1');
  context.after(() => (server.closeAllConnections(), server.close()));
  await new Promise((resolve) => server.once('listening', resolve));
  const client = new Artifacts({ apiKey: 'tbo_test', baseUrl: `http://127.0.0.1:${server.address().port}`, retries: 0 });
  await assert.rejects(client.whoami({ timeoutMs: 50 }), sdk.TimeoutError);
  const controller = new AbortController();
  setTimeout(() => controller.abort(new Error('enough')), 50);
  await assert.rejects(client.whoami({ signal: controller.signal }), /enough/);
});

test('lists go on over empty pages', async () => {
  const pages = [
    [200, { items: [{ slug: 'a' }], next_cursor: 'x' }],
    [200, { items: [], next_cursor: 'y' }],
    [200, { items: [{ slug: 'b' }], next_cursor: null }],
  ];
  const { client, requests } = scripted(pages);
  const slugs = [];
  for await (const { slug } of client.platform.listTenants({ limit: 1 })) slugs.push(slug);
  assert.deepEqual(slugs, ['a', 'b']);
  assert.deepEqual(requests.map(({ url }) => new URL(url).search), ['?limit=1', '?limit=1&cursor=x', '?limit=1&cursor=y']);
});

test('a bare name is one of the own, whose handle is asked for once', async () => {
  const { client, requests } = scripted([[200, { account: { handle: 'acme' } }], [200], [200]]);
  await client.workspaces.get('task-1');
  await client.workspaces.get('task-2');
  assert.deepEqual(requests.map(({ url }) => new URL(url).pathname), ['/v1/whoami', '/v1/workspaces/acme/task-1', '/v1/workspaces/acme/task-2']);
});

test('what names nothing is refused before it is sent', async () => {
  const { client, requests } = scripted([]);
  for (const name of ['', 'a/b/c', '/', 'a/']) await assert.rejects(client.workspaces.get(name), sdk.ConfigurationError, name);
  assert.throws(() => client.platform.getTenant('..'), sdk.ConfigurationError);
  assert.equal(requests.length, 0);
});

test('settings come from the options, then from the environment', async () => {
  const env = { ...process.env };
  try {
    delete process.env.TONBO_API_KEY;
    assert.throws(() => new Artifacts(), /TONBO_API_KEY/);
    process.env.TONBO_API_KEY = 'tbo_env\n';
    process.env.TONBO_API_URL = 'http://env.invalid/';
    let seen;
    const fetch = async (url, init) => ((seen = { url, ...init.headers }), Response.json({}));
    await new Artifacts({ fetch }).whoami();
    assert.deepEqual([seen.url, seen.authorization], ['http://env.invalid/v1/whoami', 'Bearer tbo_env']);
    await new Artifacts({ fetch, apiKey: 'tbo_given', baseUrl: 'https://given.invalid' }).whoami();
    assert.deepEqual([seen.url, seen.authorization], ['https://given.invalid/v1/whoami', 'Bearer tbo_given']);
    for (const wrong of [{ apiKey: 'a b' }, { baseUrl: 'nowhere' }, { baseUrl: 'ftp://x' }, { timeoutMs: 0 }, { retries: -1 }]) {
      assert.throws(() => new Artifacts(wrong), sdk.ConfigurationError);
    }
  } finally {
    process.env = env;
  }
});

test('events are put together from pieces', () => {
  const text = ': hello\n\nevent: ready\r\nid: 3\r\ndata: one\ndata: two\n\ndata:x\n\nid: 4\n\n';
  const expected = [
    { type: 'ready', id: '3', data: 'one\ntwo' },
    { type: 'message', id: '3', data: 'x' },
  ];
  for (const size of [1, 2, 7, text.length]) {
    const parser = new EventParser();
    const events = [];
    for (let at = 0; at < text.length; at += size) events.push(...parser.push(text.slice(at, at + size)));
    assert.deepEqual(events, expected, String(size));
  }
});
