// The client and the node's own description of its API say the same: neither can drift from the other.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { Artifacts, ERRORS_BY_CODE } from '../dist/esm/index.js';
import { CALLS, NOT_CALLED, NOT_SENT } from './calls.mjs';
import { PACKAGE, startNode } from './node.mjs';
import { interfaces } from './interfaces.mjs';

let node;
let document;
before(async () => {
  node = await startNode();
  document = await node.openapi();
});
after(() => node.stop());

const METHODS = ['get', 'put', 'post', 'patch', 'delete'];

function operations() {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method]).map((method) => ({ path, method: method.toUpperCase(), ...item[method] })),
  );
}

function resolve(schema) {
  if (schema?.$ref) return resolve(document.components.schemas[schema.$ref.replace('#/components/schemas/', '')]);
  return schema ?? {};
}

/** The properties of a schema, those of all its parts together. */
function properties(schema) {
  const { allOf = [], properties: own = {}, required = [] } = resolve(schema);
  const parts = allOf.map(properties);
  return {
    fields: Object.assign({}, ...parts.map((part) => part.fields), own),
    required: new Set([...parts.flatMap((part) => [...part.required]), ...required]),
  };
}

/** What a client sends when it makes a call. */
async function sent(call) {
  const requests = [];
  const fetch = async (url, init) => {
    requests.push({ url: new URL(url), method: init.method, headers: new Headers(init.headers), body: init.body });
    if (new Headers(init.headers).get('accept') === 'text/event-stream') {
      return new Response('event: ready\nid: 7\ndata: {"message": "events follow"}\n\n');
    }
    return Response.json({ items: [], next_cursor: null, total: { workspaces: 0, bytes: 0, inodes: 0 } });
  };
  await call(new Artifacts({ apiKey: 'tbo_test', baseUrl: 'http://node.invalid', fetch }));
  assert.equal(requests.length, 1);
  return requests[0];
}

function matches(template, path) {
  const pattern = template.replace(/[.]/g, '\\.').replace(/\{\*?(\w+)\}/g, (_, name) => (name === 'path' ? '.+' : '[^/]+'));
  return new RegExp(`^${pattern}$`).test(path);
}

function typeOf(value) {
  if (Array.isArray(value)) return 'array';
  return Number.isInteger(value) ? 'integer' : typeof value;
}

function allows(schema, value) {
  const whole = resolve(schema);
  if (whole.enum) return whole.enum.includes(value);
  const options = whole.oneOf ?? whole.anyOf;
  if (options) return options.some((option) => allows(option, value));
  const types = [whole.type ?? 'object'].flat();
  return types.includes(typeOf(value)) || (types.includes('number') && typeof value === 'number');
}

test('every operation is called, or said not to be', () => {
  const described = operations().map(({ operationId }) => operationId);
  const known = [...Object.keys(CALLS), ...Object.keys(NOT_CALLED)];
  assert.deepEqual([...described].sort(), [...new Set(known)].sort());
  assert.equal(new Set(known).size, known.length, 'an operation is in both lists');
});

test('every call is one that the node describes, with each of its parameters and fields', async () => {
  for (const operation of operations()) {
    const call = CALLS[operation.operationId];
    if (call === undefined) continue;
    const what = operation.operationId;
    const { url, method, headers, body } = await sent(call);
    assert.equal(method, operation.method, what);
    assert.ok(matches(operation.path, url.pathname), `${what}: ${url.pathname}`);
    const parameters = operation.parameters ?? [];
    const named = (place) => parameters.filter((parameter) => parameter.in === place).map(({ name }) => name.toLowerCase());
    assert.deepEqual([...url.searchParams.keys()].sort(), named('query').sort(), what);
    const unsent = NOT_SENT[what] ?? [];
    for (const name of named('header')) assert.equal(headers.has(name), !unsent.includes(name), `${what}: ${name}`);
    for (const { name, schema } of parameters.filter((parameter) => parameter.in === 'query')) {
      const text = url.searchParams.get(name);
      const types = [resolve(schema).type].flat();
      const value = types.includes('integer') ? Number(text) : types.includes('boolean') ? text === 'true' : text;
      assert.ok(allows(schema, value), `${what}: ${name}=${text}`);
    }
    const content = operation.requestBody?.content ?? {};
    if (content['application/json']) {
      assert.equal(headers.get('content-type'), 'application/json', what);
      const { fields } = properties(content['application/json'].schema);
      const given = JSON.parse(body);
      assert.deepEqual(Object.keys(given).sort(), Object.keys(fields).sort(), what);
      for (const [name, value] of Object.entries(given)) assert.ok(allows(fields[name], value), `${what}: ${name}`);
    } else {
      assert.equal(body !== undefined, operation.requestBody !== undefined, what);
    }
  }
});

test('every public method is in the list of calls', async () => {
  const called = new Set();
  const watch = (target, prefix) =>
    new Proxy(target, {
      get(object, name) {
        const value = object[name];
        if (typeof value !== 'function') return typeof name === 'string' && value !== null && typeof value === 'object' ? watch(value, `${prefix}${name}.`) : value;
        called.add(`${prefix}${String(name)}`);
        return value.bind(object);
      },
    });
  for (const call of Object.values(CALLS)) await sent((client) => call(watch(client, '')));
  const client = new Artifacts({ apiKey: 'tbo_test' });
  const resources = Object.entries(client).filter(([, value]) => typeof value === 'object');
  const expected = resources.flatMap(([name, resource]) =>
    Object.getOwnPropertyNames(Object.getPrototypeOf(resource)).filter((method) => method !== 'constructor').map((method) => `${name}.${method}`),
  );
  // Made of other calls.
  const composed = ['locks.withLock', 'platform.totalUsage'];
  assert.ok(expected.length > 20);
  for (const method of expected.filter((method) => !composed.includes(method))) assert.ok(called.has(method), method);
});

test('every code of the errors has a class', () => {
  const codes = document.components.schemas.ErrorCode.enum;
  assert.ok(codes.length > 20);
  for (const code of codes) assert.ok(Object.hasOwn(ERRORS_BY_CODE, code), code);
});

test('the types of the answers are what the node describes', () => {
  const types = interfaces(join(PACKAGE, 'src/types.ts'));
  const answered = new Set();
  const reach = (schema) => {
    if (schema?.$ref) {
      const name = schema.$ref.replace('#/components/schemas/', '');
      if (!answered.has(name)) {
        answered.add(name);
        reach(document.components.schemas[name]);
      }
    }
    for (const part of [...(schema?.allOf ?? []), ...(schema?.oneOf ?? []), ...(schema?.anyOf ?? [])]) reach(part);
    for (const part of Object.values(schema?.properties ?? {})) reach(part);
    if (schema?.items) reach(schema.items);
  };
  for (const { operationId, responses } of operations().filter(({ operationId }) => CALLS[operationId])) {
    for (const [status, { content = {} }] of Object.entries(responses)) {
      // The content of files is what it is.
      const typed = Object.entries(content).filter(([type]) => type !== 'application/octet-stream');
      if (status.startsWith('2')) for (const [, { schema }] of typed) reach(schema);
    }
  }
  for (const name of answered) {
    const schema = document.components.schemas[name];
    if (schema.enum || name.startsWith('PageBody')) continue;
    assert.ok(types[name], `there is no type ${name}`);
  }
  for (const [name, members] of Object.entries(types)) {
    const schema = document.components.schemas[name];
    assert.ok(schema, `the node describes no ${name}`);
    const { fields, required } = properties(schema);
    assert.deepEqual(Object.keys(members).sort(), Object.keys(fields).sort(), name);
    for (const [field, { optional, kinds }] of Object.entries(members)) {
      assert.equal(optional, !required.has(field), `${name}.${field} is ${optional ? 'not ' : ''}always there`);
      const described = kindsOf(fields[field], optional);
      assert.deepEqual([...kinds].sort(), [...described].sort(), `${name}.${field}`);
    }
  }
});

/** What a value may be: `string`, `number`, `boolean`, `object`, `array`, `null`, or the words of an enumeration. */
function kindsOf(schema, optional) {
  const whole = resolve(schema);
  const options = whole.oneOf ?? whole.anyOf;
  const kinds = options
    ? options.flatMap((option) => [...kindsOf(option, optional)])
    : whole.enum
      ? whole.enum.map((word) => JSON.stringify(word))
      : [whole.type ?? 'object'].flat().map((type) => (type === 'integer' ? 'number' : type));
  // What may be missing is left out rather than null.
  return new Set(optional ? kinds.filter((kind) => kind !== 'null') : kinds);
}
