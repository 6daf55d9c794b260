// The client against a real node.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import * as sdk from '../dist/esm/index.js';
import { startNode } from './node.mjs';

const { Artifacts } = sdk;
let node;
let artifacts;

before(async () => {
  node = await startNode();
  artifacts = new Artifacts({ apiKey: await node.account('acme'), baseUrl: node.url });
  await artifacts.workspaces.create('task-1', { quotaBytes: 1 << 30 });
});
after(() => node.stop());

test('whoami', async () => {
  const { account, scope } = await artifacts.whoami();
  assert.equal(account.handle, 'acme');
  assert.equal(scope, undefined);
});

test('a tenant from its making to its end', async () => {
  const made = await artifacts.platform.createTenant('initech', { externalId: 'cus_42', metadata: { plan: 'pro' } });
  assert.match(made.id, /^ten_/);
  assert.deepEqual(await artifacts.platform.getTenant('initech'), made);
  assert.equal(made.external_id, 'cus_42');
  await assert.rejects(artifacts.platform.createTenant('initech'), sdk.TenantExistsError);
  const grant = await artifacts.platform.createAccessGrant('task-1', { tenantSlug: 'initech', mode: 'ro', ttlSeconds: 60 });
  assert.deepEqual(await artifacts.platform.getAccessGrant(grant.id), grant);
  const { grants } = await artifacts.platform.deleteTenant('initech', { waitMs: 0 });
  assert.deepEqual(grants.map(({ id }) => id), [grant.id]);
  await assert.rejects(artifacts.platform.getTenant('initech'), sdk.TenantNotFoundError);
});

test('one call makes tenant, grant and ticket; revoking takes the grant away', async () => {
  const { mount_ticket } = await artifacts.platform.createMountTicket('globex', 'run-1', { workspace: 'acme/task-1', mode: 'rw', ttlSeconds: 3600 });
  assert.equal(mount_ticket.workspace, 'acme/task-1');
  assert.equal(mount_ticket.token.split('.').length, 3);
  const grants = await artifacts.platform.listAccessGrants({ tenantSlug: 'globex', runtimeId: 'run-1', workspace: 'task-1' }).all();
  assert.equal(grants.length, 1);
  const revoked = await artifacts.platform.revokeAccessGrants({ tenantSlug: 'globex', runtimeId: 'run-1' });
  assert.deepEqual(revoked.sessions, { matched: 0, fenced: 0, confirmed: 0 });
  assert.deepEqual(revoked.grants.map(({ id }) => id), [grants[0].id]);
  await assert.rejects(artifacts.platform.revokeAccessGrant(grants[0].id), sdk.GrantNotFoundError);
  assert.deepEqual(await artifacts.platform.listSessions({ tenantSlug: 'globex' }).all(), []);
});

test('a repeated idempotency key does nothing twice', async () => {
  const idempotencyKey = `key-${process.pid}`;
  const made = await artifacts.platform.createTenant('once', { idempotencyKey });
  assert.deepEqual(await artifacts.platform.createTenant('once', { idempotencyKey }), made);
  await assert.rejects(artifacts.platform.createTenant('twice', { idempotencyKey }), sdk.IdempotencyConflictError);
});

test('workspaces, page by page', async () => {
  const names = ['page-a', 'page-b', 'page-c'];
  for (const name of names) await artifacts.workspaces.create(name);
  await assert.rejects(artifacts.workspaces.create('page-a'), sdk.WorkspaceExistsError);
  const pages = [];
  for await (const page of artifacts.workspaces.list({ limit: 2 }).pages()) pages.push(page.items.length);
  assert.ok(pages.length >= 2 && pages.every((count) => count <= 2), String(pages));
  const listed = [];
  for await (const workspace of artifacts.workspaces.list({ limit: 2 })) listed.push(workspace.name);
  for (const name of names) assert.ok(listed.includes(name));
  const deleted = await artifacts.workspaces.delete('page-a', { waitMs: 0 });
  assert.ok(['deleting', 'deleted'].includes(deleted.status));
  assert.equal((await artifacts.workspaces.usage('task-1')).quota_bytes, 1 << 30);
  const total = await artifacts.platform.totalUsage();
  assert.ok(total.workspaces >= 3 && total.inodes >= 3);
  assert.ok((await artifacts.platform.listUsage().all()).some(({ workspace }) => workspace === 'acme/task-1'));
});

test('a scoped key does no more than its scope', async () => {
  const { key, id } = await artifacts.apiKeys.create({ name: 'ci', scope: { mode: 'ro' }, ttlSeconds: 60 });
  const reader = new Artifacts({ apiKey: key, baseUrl: node.url });
  assert.deepEqual((await reader.whoami()).scope, { mode: 'ro' });
  await assert.rejects(reader.platform.createTenant('no'), sdk.ForbiddenError);
  const listed = await artifacts.apiKeys.list().all();
  assert.ok(listed.some((item) => item.id === id && item.name === 'ci'));
  await artifacts.apiKeys.revoke(id);
  await assert.rejects(reader.whoami(), sdk.UnauthorizedError);
});

test('locks: taken, refused, renewed, listed, released', async () => {
  const held = await artifacts.locks.acquire('task-1', 'deploy', { ttlMs: 5000, note: 'release 42' });
  await assert.rejects(artifacts.locks.acquire('task-1', 'deploy'), sdk.LockHeldError);
  const renewed = await artifacts.locks.renew('task-1', 'deploy', { lockId: held.lock_id, ttlMs: 60_000 });
  assert.equal(renewed.fencing_token, held.fencing_token);
  const listed = await artifacts.locks.list('task-1').all();
  assert.equal(listed.find(({ name }) => name === 'deploy').holders[0].note, 'release 42');
  const waiting = artifacts.locks.acquire('task-1', 'deploy', { waitMs: 30_000 });
  await artifacts.locks.release('task-1', 'deploy', { lockId: held.lock_id });
  const next = await waiting;
  assert.ok(next.fencing_token > held.fencing_token);
  await assert.rejects(artifacts.locks.renew('task-1', 'deploy', { lockId: held.lock_id }), sdk.StaleTokenError);
  await artifacts.locks.release('task-1', 'deploy', { lockId: next.lock_id });
});

test('who no longer wants to wait for a lock is out of the queue', async () => {
  const held = await artifacts.locks.acquire('task-1', 'queue');
  const controller = new AbortController();
  const waiting = artifacts.locks.acquire('task-1', 'queue', { waitMs: 60_000, signal: controller.signal });
  const waiters = async () => (await artifacts.locks.list('task-1').all()).find(({ name }) => name === 'queue')?.waiters.length;
  await eventually(async () => (await waiters()) === 1);
  controller.abort(new Error('enough'));
  await assert.rejects(waiting, /enough/);
  await eventually(async () => (await waiters()) === 0);
  await artifacts.locks.release('task-1', 'queue', { lockId: held.lock_id });
});

test('a lock is renewed while work runs under it, and free afterwards', async () => {
  const result = await artifacts.locks.withLock('task-1', 'work', { ttlMs: 1000 }, async ({ signal, fencingToken }) => {
    // Longer than its time to live.
    await new Promise((resolve) => setTimeout(resolve, 2500));
    assert.equal(signal.aborted, false);
    await assert.rejects(artifacts.locks.acquire('task-1', 'work'), sdk.LockHeldError);
    return fencingToken;
  });
  const next = await artifacts.locks.acquire('task-1', 'work');
  assert.ok(next.fencing_token > result);
  await artifacts.locks.release('task-1', 'work', { lockId: next.lock_id });
  await assert.rejects(artifacts.locks.withLock('task-1', 'work', {}, () => Promise.reject(new Error('mine'))), /mine/);
  await artifacts.locks.withLock('task-1', 'work', {}, () => {});
});

test('who loses a lock is told at once', async () => {
  let told;
  const lost = artifacts.locks.withLock('task-1', 'lost', { ttlMs: 1500 }, async ({ signal, lockId }) => {
    await artifacts.locks.release('task-1', 'lost', { lockId });
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    told = signal.reason;
  });
  await assert.rejects(lost, sdk.LockLostError);
  assert.ok(told instanceof sdk.LockLostError);
});

test('events follow the locks, and go on where they were', async () => {
  const controller = new AbortController();
  const events = artifacts.locks.events('task-1', { lock: 'seen', signal: controller.signal });
  const ready = (await events.next()).value;
  assert.equal(ready.type, 'ready');
  const first = await artifacts.locks.acquire('task-1', 'seen', { owner: 'me' });
  const acquired = (await events.next()).value;
  assert.deepEqual([acquired.type, acquired.lock, acquired.owner, acquired.fencing_token], ['acquired', 'seen', 'me', first.fencing_token]);
  controller.abort();
  await assert.rejects(events.next());
  await artifacts.locks.release('task-1', 'seen', { lockId: first.lock_id });
  const resumed = artifacts.locks.events('task-1', { lock: 'seen', lastEventId: acquired.id });
  assert.equal((await resumed.next()).value.type, 'released');
  await resumed.return();
});

test('a stream of events that breaks off is taken up again', async () => {
  let broken = 0;
  const fetch = async (url, init) => {
    const answer = await globalThis.fetch(url, init);
    if (!String(url).includes('/events') || broken > 0) return answer;
    broken += 1;
    // The first stream ends after the first piece.
    const reader = answer.body.getReader();
    const { value } = await reader.read();
    void reader.cancel();
    return new Response(value, { headers: answer.headers });
  };
  const { key } = await artifacts.apiKeys.create();
  const watcher = new Artifacts({ apiKey: key, baseUrl: node.url, fetch });
  const events = watcher.locks.events('acme/task-1', { lock: 'again' });
  assert.equal((await events.next()).value.type, 'ready');
  const held = await artifacts.locks.acquire('task-1', 'again');
  assert.equal((await events.next()).value.type, 'acquired');
  assert.equal(broken, 1);
  await events.return();
  await artifacts.locks.release('task-1', 'again', { lockId: held.lock_id });
});

test('a mount ticket is a credential for the locks of its workspace', async () => {
  const { mount_ticket } = await artifacts.platform.createMountTicket('acme', 'run-2', { workspace: 'task-1', mode: 'rw', ttlSeconds: 60 });
  const runtime = new Artifacts({ apiKey: mount_ticket.token, baseUrl: node.url });
  const held = await runtime.locks.acquire(mount_ticket.workspace, 'of-runtime');
  await runtime.locks.release(mount_ticket.workspace, 'of-runtime', { lockId: held.lock_id });
  await assert.rejects(runtime.whoami(), sdk.UnauthorizedError);
});

test('files: written, read, in ranges, under conditions, listed, moved, deleted', async () => {
  const written = await artifacts.files.write('task-1', 'docs/ü report.md', 'hello, world', { parents: true, ifNoneMatch: '*' });
  assert.deepEqual([written.path, written.size, written.kind, written.mode], ['docs/ü report.md', 12, 'file', '0644']);
  const content = await artifacts.files.read('task-1', written);
  assert.deepEqual([content.size, content.etag, await content.text()], [12, written.etag, 'hello, world']);
  const part = await artifacts.files.read('task-1', '/docs/ü report.md', { start: 7, end: 9 });
  assert.deepEqual([part.size, await part.text()], [12, 'wor']);
  assert.equal(await (await artifacts.files.read('task-1', written, { start: -5 })).text(), 'world');
  const same = await artifacts.files.read('task-1', written, { ifNoneMatch: written.etag });
  assert.deepEqual([same.notModified, await same.text()], [true, '']);
  await assert.rejects(artifacts.files.read('task-1', written, { start: 100 }), sdk.RangeNotSatisfiableError);
  await assert.rejects(artifacts.files.write('task-1', written, 'x', { ifNoneMatch: '*' }), sdk.PreconditionFailedError);
  await artifacts.files.write('task-1', written, new TextEncoder().encode('bytes'), { ifMatch: written.etag });
  await assert.rejects(artifacts.files.read('task-1', 'none'), sdk.FileNotFoundError);
  const moved = await artifacts.files.move('task-1', 'docs/ü report.md', 'docs/b');
  assert.equal(moved.path, 'docs/b');
  await artifacts.files.write('task-1', 'docs/c', 'c');
  await assert.rejects(artifacts.files.move('task-1', 'docs/b', 'docs/c'), sdk.FileExistsError);
  const paths = (await artifacts.files.list('task-1', { recursive: true, limit: 1 }).all()).map(({ path }) => path);
  assert.deepEqual(paths, ['docs', 'docs/b', 'docs/c']);
  await assert.rejects(artifacts.files.delete('task-1', 'docs'), sdk.DirectoryNotEmptyError);
  await artifacts.files.delete('task-1', 'docs', { recursive: true });
  assert.deepEqual(await artifacts.files.list('task-1').all(), []);
});

test('files of any length go through in pieces', async () => {
  const piece = new Uint8Array(1 << 16).map((_, index) => index % 251);
  const pieces = 100;
  async function* content() {
    for (let index = 0; index < pieces; index += 1) yield piece;
  }
  const written = await artifacts.files.write('task-1', 'large', content());
  assert.equal(written.size, pieces * piece.length);
  let read = 0;
  for await (const chunk of (await artifacts.files.read('task-1', 'large')).body) {
    for (let index = 0; index < chunk.length; index += 4099) assert.equal(chunk[index], piece[(read + index) % piece.length]);
    read += chunk.length;
  }
  assert.equal(read, written.size);
  const first = await artifacts.files.read('task-1', 'large');
  await first.body.cancel();
  await artifacts.files.delete('task-1', 'large');
});

test('snapshots and forks', async () => {
  await artifacts.workspaces.create('origin');
  await artifacts.files.write('origin', 'a', 'one');
  const snapshot = await artifacts.workspaces.snapshot('origin', { name: 'v1' });
  assert.equal(snapshot.address, 'acme/origin@v1');
  await assert.rejects(artifacts.workspaces.snapshot('origin', { name: 'v1' }), sdk.SnapshotExistsError);
  await artifacts.files.write('origin', 'a', 'two');
  const fork = await artifacts.workspaces.fork('origin', 'forked', { snapshot: 'v1' });
  assert.equal(fork.forked_from, 'acme/origin@v1');
  assert.equal(await (await artifacts.files.read('forked', 'a')).text(), 'one');
  assert.equal(await (await artifacts.files.read('origin', 'a')).text(), 'two');
  assert.deepEqual((await artifacts.workspaces.listSnapshots('origin').all()).map(({ id }) => id), [snapshot.id]);
  assert.equal((await artifacts.workspaces.getSnapshot('origin', 'v1')).id, snapshot.id);
  await artifacts.workspaces.deleteSnapshot('origin', 'v1', { waitMs: 0 });
  await assert.rejects(artifacts.workspaces.getSnapshot('origin', 'none'), sdk.SnapshotNotFoundError);
});

test('quotas are given, changed and lifted', async () => {
  await artifacts.platform.createTenant('hooli', { quotaBytes: 100 });
  const made = await artifacts.workspaces.create('hooli-1', { tenantSlug: 'hooli', quotaBytes: 60, quotaInodes: 10 });
  assert.equal(made.tenant_slug, 'hooli');
  await assert.rejects(artifacts.workspaces.fork('hooli-1', 'hooli-2'), sdk.QuotaExceededError);
  const changed = await artifacts.workspaces.setQuotas('hooli-1', { quotaBytes: 70, quotaInodes: null });
  assert.deepEqual([changed.quota_bytes, changed.quota_inodes], [70, undefined]);
  await assert.rejects(artifacts.platform.setTenantQuotas('hooli', { quotaBytes: 69 }), sdk.QuotaExceededError);
  const usage = await artifacts.platform.tenantUsage('hooli');
  assert.deepEqual([usage.workspaces, usage.given_bytes, usage.quota_bytes], [1, 70, 100]);
  assert.equal((await artifacts.platform.setTenantQuotas('hooli', { quotaBytes: null })).quota_bytes, undefined);
});

test('the audit trail is listed and followed, and everything is revoked in one call', async () => {
  const mine = new Artifacts({ apiKey: await node.account('audited'), baseUrl: node.url });
  const other = await mine.apiKeys.create();
  const stream = mine.audit.events({ kind: 'tenant_created', signal: AbortSignal.timeout(60_000) });
  const ready = (await stream.next()).value;
  assert.equal(ready.type, 'ready');
  await mine.platform.createTenant('t');
  const told = (await stream.next()).value;
  assert.equal(told.type, 'entry');
  await stream.return();
  const listed = await mine.audit.list({ tenantSlug: 't', limit: 1 }).all();
  assert.deepEqual(listed, [told.entry]);
  const { key_id } = await mine.whoami();
  assert.deepEqual(told.entry.by, { kind: 'api_key', key_id });
  await mine.platform.createTenant('u');
  const again = mine.audit.events({ kind: 'tenant_created', lastEventId: told.id, signal: AbortSignal.timeout(60_000) });
  assert.equal((await again.next()).value.entry.tenant_slug, 'u');
  await again.return();
  const revoked = await mine.platform.revokeEverything({ waitMs: 0 });
  assert.equal(revoked.kept_key_id, key_id);
  await assert.rejects(new Artifacts({ apiKey: other.key, baseUrl: node.url }).whoami(), sdk.UnauthorizedError);
  assert.equal((await mine.audit.list({ kind: 'everything_revoked' }).all()).length, 1);
});

test('a node that is not there', async () => {
  const nowhere = new Artifacts({ apiKey: 'tbo_x', baseUrl: 'http://127.0.0.1:1', retries: 1 });
  await assert.rejects(nowhere.whoami(), sdk.ConnectionError);
});

async function eventually(condition) {
  for (let look = 0; look < 600; look += 1) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail('never');
}
