// A cluster for the tests of the console: an S3 server, three nodes on it, and mounts, all on the loopback interface.
import { createSocket } from 'node:dgram';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { keep, until } from './kept.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BINARY = process.env.ARTIFACTS_BIN ?? join(ROOT, 'target/debug/artifacts');
const WEED = join(ROOT, 'target/tools/seaweedfs/bin/weed');
const SHARDS = 8;
const KEYS = { access_key_id: 'test-key', secret_access_key: 'test-secret' };

/** Starts one. `stop` ends all of it and removes what it left. */
export async function startCluster(count = 3) {
  const dir = mkdtempSync(join(tmpdir(), 'artifacts-console-'));
  const mounts = [];
  const nodes = [];
  let s3;
  const stop = async () => {
    await Promise.all(mounts.map((mount) => mount.end()));
    await Promise.all(nodes.map((node) => node.end()));
    await s3?.end();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    s3 = await startS3(dir);
    writeFileSync(join(dir, 'ring-key'), Buffer.alloc(32, 7).toString('base64'));
    const gossip = await Promise.all(Array.from({ length: count }, () => freeUdpPort()));
    const seeds = gossip.map((port) => `127.0.0.1:${port}`);
    for (const [index, listen] of seeds.entries()) nodes.push(await startNode(dir, `n${index}`, listen, seeds, s3.blobs));
    // Whoever owns the shard of the cluster writes it.
    const adminToken = await until('the admin token is there', () => {
      const file = nodes.map(({ name }) => join(dir, name, 'admin-token')).find((path) => existsSync(path));
      return file && readFileSync(file, 'utf8').trim();
    });
    const cluster = () => ask(nodes[0].url, adminToken, 'GET', '/v1/cluster');
    await until('every shard is served by one node', async () => {
      const { shards, members } = await cluster();
      const served = shards.length === SHARDS && shards.every(({ units }) => units.length === 1 && units[0].state === 'serving');
      return served && members.length === count && members.every(({ phase }) => phase === 'serving');
    });
    const account = async (handle) => (await ask(nodes[0].url, adminToken, 'POST', '/v1/accounts', { handle })).api_key.key;
    const mount = async (name, ticket) => {
      const mounted = await startMount(dir, name, ticket);
      mounts.push(mounted);
      return mounted;
    };
    /** A host agent in the mesh, of the account with this key. */
    const agent = async (name, key) => {
      const credential = await ask(nodes[0].url, key, 'POST', '/v1/mesh-credentials', { name, ttl_seconds: 3600 });
      const running = startAgent(dir, name, { version: 1, ...credential });
      mounts.push(running);
      return { ...running, id: credential.id };
    };
    return { url: nodes[0].url, nodes, adminToken, account, mount, agent, stop, dir, cluster, shards: SHARDS };
  } catch (error) {
    const log = (name) => {
      try {
        return `${name}:\n${readFileSync(join(dir, name), 'utf8').slice(-4_000)}\n`;
      } catch {
        return '';
      }
    };
    const logs = ['weed.log', ...nodes.map(({ name }) => `${name}.log`)].map(log).join('');
    await stop();
    throw new Error(`the cluster does not start\n${logs}`, { cause: error });
  }
}

/** A call of the API that must succeed. */
export async function ask(url, token, method, path, body) {
  const headers = { authorization: `Bearer ${token}` };
  if (body !== undefined) headers['content-type'] = 'application/json';
  const answer = await fetch(`${url}${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? null : answer.json();
}

async function startS3(dir) {
  const ports = await Promise.all(Array.from({ length: 8 }, () => freePort()));
  const [, , , , filer, filerGrpc, s3, s3Grpc] = ports;
  const identity = { name: 'tests', credentials: [{ accessKey: KEYS.access_key_id, secretKey: KEYS.secret_access_key }], actions: ['Admin'] };
  writeFileSync(join(dir, 'identities.json'), JSON.stringify({ identities: [identity] }));
  mkdirSync(join(dir, 's3'));
  const options = ['master.port', 'master.port.grpc', 'volume.port', 'volume.port.grpc', 'filer.port', 'filer.port.grpc', 's3.port', 's3.port.grpc'];
  const kept = keep([
    WEED, '-logtostderr=true', 'server', '-ip', '127.0.0.1', '-ip.bind', '127.0.0.1', '-dir', join(dir, 's3'),
    ...options.flatMap((option, index) => [`-${option}`, String(ports[index])]),
    '-filer', '-filer.localSocket', join(dir, 'filer.sock'), '-s3', '-s3.localSocket', join(dir, 's3.sock'),
    '-s3.config', join(dir, 'identities.json'), '-s3.iam=false', '-s3.port.iceberg', '0', '-s3.port.lance', '0',
    '-volume.max', '1000', '-master.volumeSizeLimitMB', '64', '-volume.minFreeSpace', '0', '-master.telemetry=false',
  ], {
    log: join(dir, 'weed.log'),
    env: { GOMEMLIMIT: '384MiB' },
    after: `rm -f /tmp/seaweedfs-filer-grpc-${filerGrpc}.sock /tmp/seaweedfs-s3-grpc-${s3Grpc}.sock`,
  });
  try {
    await until('the S3 server serves', async () => {
      const put = await fetch(`http://127.0.0.1:${filer}/probe`, { method: 'PUT', body: 'ready' });
      return put.ok && (await fetch(`http://127.0.0.1:${s3}`)).status === 403;
    });
    const bucket = await fetch(`http://127.0.0.1:${filer}/buckets/console/`, { method: 'POST' });
    if (!bucket.ok) throw new Error(`no bucket: ${bucket.status}`);
  } catch (error) {
    await kept.end();
    throw error;
  }
  const blobs = { s3: { bucket: 'console', prefix: 'tests', endpoint: `http://127.0.0.1:${s3}`, path_style: true, ...KEYS } };
  return { ...kept, blobs };
}

async function startNode(dir, name, listen, seeds, blobs) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const ring = { name: 'console-tests', node: name, listen, seeds, key_file: join(dir, 'ring-key') };
  writeFileSync(join(dir, `${name}.json`), JSON.stringify({ store: 'slate', region: 'eu', cluster: { shards: SHARDS }, blobs, ring }));
  const args = ['node', '--config', join(dir, `${name}.json`), '--data', join(dir, name), '--listen', `127.0.0.1:${port}`];
  const kept = keep([BINARY, ...args], { log: join(dir, `${name}.log`) });
  try {
    await until(`${name} answers`, async () => (await fetch(`${url}/healthz`)).ok);
  } catch (error) {
    await kept.end();
    throw error;
  }
  return { ...kept, name, url };
}

async function startMount(dir, name, ticket) {
  const [point, home] = [join(dir, 'mnt', name), join(dir, 'home', name)];
  for (const made of [point, home]) mkdirSync(made, { recursive: true });
  const file = join(home, 'mount-ticket.json');
  writeFileSync(file, JSON.stringify(ticket), { mode: 0o600 });
  const env = { HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home, XDG_STATE_HOME: home, XDG_RUNTIME_DIR: home, TONBO_AGENT_SOCKET: join(home, 'agent.sock') };
  const kept = keep([BINARY, 'mount', '--foreground', '--ticket-file', file, point], {
    log: join(dir, `${name}.log`),
    env,
    after: `umount -l '${point}' 2>/dev/null`,
  });
  try {
    await until(`${name} is mounted`, () => readFileSync('/proc/self/mountinfo', 'utf8').includes(` ${point} `));
  } catch (error) {
    await kept.end();
    throw new Error(`${name} does not mount: ${readFileSync(join(dir, `${name}.log`), 'utf8')}`, { cause: error });
  }
  return { ...kept, point };
}

function startAgent(dir, name, credential) {
  const home = join(dir, 'home', name);
  mkdirSync(home, { recursive: true });
  const file = join(home, 'mesh.json');
  writeFileSync(file, JSON.stringify(credential), { mode: 0o600 });
  const env = { HOME: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home, XDG_STATE_HOME: home, XDG_RUNTIME_DIR: home, TONBO_AGENT_SOCKET: join(home, 'agent.sock') };
  return keep([BINARY, 'agent', '--mesh-credential-file', file], { log: join(dir, `${name}.log`), env });
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

function freeUdpPort() {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4').once('error', reject);
    socket.bind(0, '127.0.0.1', () => {
      const { port } = socket.address();
      socket.close(() => resolve(port));
    });
  });
}
