// The frame around the pages: who is signed in, which page the address names, and what is said when the node does not answer.
import { ApiError, credentials, get } from './api.js';
import { auditPage } from './audit.js';
import { h, say, show } from './dom.js';
import { grantsPage } from './grants.js';
import { pause } from './live.js';
import { locksPage } from './locks.js';
import { mountsPage } from './mounts.js';
import { overviewPage } from './overview.js';
import { button, heading } from './parts.js';
import { ringPage } from './ring.js';
import { signInPage } from './sign_in.js';
import { tenantsPage } from './tenants.js';
import { usagePage } from './usage.js';
import { workspacePage } from './workspace.js';
import { workspacesPage } from './workspaces.js';

// By the first part of the address. A page has `title`, and `run`, which shows it until it is left; `under` is whose entry of the
// menu it belongs to.
const PAGES = {
  '': overviewPage,
  mounts: mountsPage,
  workspaces: workspacesPage,
  workspace: workspacePage,
  tenants: tenantsPage,
  grants: grantsPage,
  locks: locksPage,
  usage: usagePage,
  audit: auditPage,
  ring: ringPage,
};
const AGAIN_MS = 1_000;

const at = (id) => document.getElementById(id);
let who = null;
let features = new Set();
let isFirst = true;
let current = { name: null, controller: new AbortController() };

/** Finds out whose the credential is, and shows the page. */
async function start(problem) {
  stop();
  const { signal } = current.controller;
  if (credentials.apiKey) {
    const known = await lasting(signal, async () => {
      const [whoami, description] = await Promise.all([get('/v1/whoami', {}, signal), get('/openapi.json', {}, signal)]);
      return { whoami, paths: Object.keys(description.paths) };
    });
    if (!known) return;
    [who, features] = [known.whoami, new Set(known.paths)];
  } else {
    who = null;
  }
  frame();
  if (!who && !credentials.adminToken) signIn(problem);
  else route();
}

/** Leaves the page. */
function stop() {
  current.controller.abort();
  current = { name: null, controller: new AbortController() };
}

function signIn(problem) {
  document.title = 'Sign in · Artifacts';
  isFirst = false;
  signInPage(at('main'), { problem, begin: start });
}

function signOut(problem) {
  credentials.forget();
  if (!problem) {
    history.replaceState(null, '', '#/');
    say('You are signed out.');
  }
  return start(problem);
}

/** The menu and who is signed in. */
function frame() {
  const names = who ? Object.keys(PAGES).filter((name) => !PAGES[name].under && has(name)) : credentials.adminToken ? ['ring'] : [];
  const chosen = PAGES[current.name]?.under ?? current.name;
  at('pages').hidden = names.length === 0;
  show(at('pages'), h('ul', null, ...names.map((name) =>
    h('li', { key: name }, h('a', { href: `#/${name}`, 'aria-current': name === chosen ? 'page' : null }, PAGES[name].title)))));
  const scope = who?.scope && Object.entries(who.scope).map(([name, value]) => `${name} ${value}`).join(', ');
  const name = who ? h('span', { class: 'account' }, who.account.handle, scope ? h('span', { class: 'below' }, `only ${scope}`) : null) : h('span', { class: 'account' }, 'operator');
  show(at('who'), ...(names.length ? [name, button('Sign out', () => signOut())] : []));
}

/** Whether the node has what a page needs. */
function has(name) {
  return !PAGES[name].needs || features.has(PAGES[name].needs);
}

function route() {
  if (!who && !credentials.adminToken) return;
  const [path, query] = location.hash.replace(/^#\/?/, '').split('?');
  const name = who ? (Object.hasOwn(PAGES, path) && has(path) ? path : '') : 'ring';
  const before = current.name;
  stop();
  current.name = name;
  frame();
  // On a narrow screen the menu scrolls.
  at('pages').querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  const page = PAGES[name];
  document.title = `${page.title} · Artifacts`;
  if (name !== before) {
    show(at('main'), heading(page.title), h('p', { class: 'empty' }, 'Loading…'));
    if (!isFirst) {
      scrollTo(0, 0);
      at('main').focus({ preventScroll: true });
    }
    isFirst = false;
  }
  const { signal } = current.controller;
  const context = {
    signal,
    query: new URLSearchParams(query ?? ''),
    who,
    features,
    show: (...nodes) => {
      if (signal.aborted) return;
      at('trouble').hidden = true;
      show(at('main'), ...nodes);
    },
    go,
    refine: (field, value) => {
      const refined = Object.fromEntries(new URLSearchParams(query ?? ''));
      if (value === null) delete refined[field];
      else refined[field] = value;
      go(name, refined);
    },
  };
  const attempt = async () => {
    // What one part of the page has begun ends with the others, before all of it begins again.
    const over = new AbortController();
    try {
      return await page.run({ ...context, signal: AbortSignal.any([signal, over.signal]) });
    } finally {
      over.abort();
    }
  };
  lasting(signal, attempt, (error) => {
    context.show(heading(page.title), h('p', { class: 'problem', role: 'alert' }, error.message));
  });
}

function go(name, query = {}) {
  const text = new URLSearchParams(query).toString();
  location.hash = `#/${name}${text ? `?${text}` : ''}`;
}

/** Does something until it is done or the page is left: again and again while the node does not answer. */
async function lasting(signal, work, fail = (error) => trouble(error.message)) {
  for (;;) {
    try {
      const result = await work();
      at('trouble').hidden = true;
      return result;
    } catch (error) {
      if (signal.aborted) return undefined;
      const passes = !(error instanceof ApiError) || error.status >= 500 || error.status === 429;
      if (!passes) {
        if (error.status !== 401) fail(error);
        return undefined;
      }
      trouble(error instanceof ApiError ? error.message : 'The node does not answer');
      if (!(error instanceof ApiError || error instanceof TypeError)) console.error(error);
    }
    try {
      await pause(AGAIN_MS, signal);
    } catch {
      return undefined;
    }
  }
}

function trouble(message) {
  const line = `${message}. Trying again…`;
  if (at('trouble').hidden || at('trouble').textContent !== line) at('trouble').textContent = line;
  at('trouble').hidden = false;
}

credentials.whenRefused(() => signOut('This API key counts no more: it was revoked or has expired.'));
addEventListener('hashchange', route);
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  at('main').focus();
});
start();
