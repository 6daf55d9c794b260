// Calls of the HTTP API with the credential of whoever is signed in.
//
// The credential goes into the header `authorization` and nowhere else. An API key is kept for this tab (sessionStorage), the
// operator's admin token only as long as the page stands.

const BASE = new URL('../', import.meta.url);
const KEPT = 'artifacts-api-key';
/** The longest page of a list that the API gives. */
const PAGE = 200;
/** How many items of a list are fetched; whoever has more narrows the list down. */
export const MOST = 1_000;

let apiKey = sessionStorage.getItem(KEPT);
let adminToken = null;
let leave = () => {};

/** What the API answers when it does not do what was asked. */
export class ApiError extends Error {
  constructor(status, body) {
    super([body.message ?? `the node answered ${status}`, body.hint].filter(Boolean).join('; '));
    Object.assign(this, { status, code: body.code ?? 'unknown', requestId: body.request_id });
  }
}

export const credentials = {
  get apiKey() {
    return apiKey;
  },
  get adminToken() {
    return adminToken;
  },
  keep(key) {
    apiKey = key;
    sessionStorage.setItem(KEPT, key);
  },
  keepAdminToken(token) {
    adminToken = token;
  },
  forget() {
    apiKey = adminToken = null;
    sessionStorage.removeItem(KEPT);
  },
  /** What is done when the API key counts no more. */
  whenRefused(work) {
    leave = work;
  },
};

async function request(method, path, { query, body, signal, credential = apiKey, accept = 'application/json', after } = {}) {
  const url = new URL(path.replace(/^\//, ''), BASE);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== '') url.searchParams.set(name, value);
  }
  const headers = { accept };
  if (credential) headers.authorization = `Bearer ${credential}`;
  if (body !== undefined) headers['content-type'] = 'application/json';
  if (after) headers['last-event-id'] = after;
  if (method === 'POST') headers['idempotency-key'] = randomName();
  const sent = Date.now();
  const answer = await fetch(url, {
    method,
    headers,
    signal,
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
  });
  compareClocks(answer.headers.get('date'), sent);
  if (answer.ok) return answer;
  const error = new ApiError(answer.status, await answer.json().catch(() => ({})));
  if (error.status === 401 && credential === apiKey && credential) leave(error);
  throw error;
}

/** Any call with an answer in JSON. */
export async function call(method, path, options) {
  const answer = await request(method, path, options);
  return answer.status === 204 ? null : answer.json();
}

/** A GET. */
export function get(path, query, signal) {
  return call('GET', path, { query, signal });
}

/** The items of a list, page by page; `more` says that there are others, and `total` is that of the first page. */
export async function list(path, query, signal) {
  const items = [];
  let [cursor, total] = [];
  do {
    const page = await get(path, { limit: PAGE, ...query, cursor }, signal);
    items.push(...page.items);
    total ??= page.total;
    cursor = page.next_cursor;
  } while (cursor && items.length < MOST);
  return Object.assign(items, { more: Boolean(cursor), total });
}

/** A stream of server-sent events: `[{event, id, data}]` as they come, behind that of the id `after`. `EventSource` could not send the credential. */
export async function* events(path, query, signal, after) {
  const answer = await request('GET', path, { query, signal, after, accept: 'text/event-stream' });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const event = parseEvent(block);
      if (event.data !== '') yield event;
    }
  }
}

/** One event of such a stream (HTML Standard, 9.2.6). */
export function parseEvent(block) {
  const event = { event: 'message', id: '', data: [] };
  for (const line of block.split(/\r?\n/)) {
    const colon = line.indexOf(':');
    if (colon === 0) continue;
    const [field, value] = colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, '')];
    if (field === 'data') event.data.push(value);
    else if (field === 'event' || field === 'id') event[field] = value;
  }
  return { ...event, data: event.data.join('\n') };
}

/** The path of a workspace that is called `handle/name`. */
export function workspacePath(address) {
  return `/v1/workspaces/${address.split('/').map(encodeURIComponent).join('/')}`;
}

function randomName() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

// How far the node's clock is ahead of this one, in milliseconds: between these two, by all answers so far.
let [least, most] = [-Infinity, Infinity];

function compareClocks(date, sent) {
  const second = Date.parse(date ?? '');
  if (Number.isNaN(second)) return;
  const [low, high] = [second - Date.now(), second + 999 - sent];
  [least, most] = [Math.max(least, low), Math.min(most, high)];
  // A clock was set.
  if (least > most) [least, most] = [low, high];
}

/** The time at the node, in milliseconds. */
export function now() {
  return Date.now() + (Number.isFinite(least) ? (least + most) / 2 : 0);
}
