// Taking access away, and watching the mounts go out.
import { call, list } from './api.js';
import { openDialog } from './dialog.js';
import { h, say } from './dom.js';
import { counted, duration } from './format.js';
import { followGoing } from './going.js';
import { holder } from './health.js';
import { pause } from './live.js';
import { button, chip } from './parts.js';

/** The longest that is watched: a mount that nobody reaches is out when its lease is over. */
const WATCH_MS = 60_000;

/** Revokes one grant. */
export function revokeGrant(grant) {
  const who = grant.runtime_id ? `${grant.tenant_slug} / ${grant.runtime_id}` : `every runtime of ${grant.tenant_slug}`;
  const below = grant.subpath ? `, below ${grant.subpath}` : '';
  return run({
    title: 'Revoke this grant?',
    sentence: [h('strong', null, who), ' loses ', h('strong', null, grant.mode), ' access to ', h('strong', null, grant.workspace), `${below}.`],
    query: { tenant_slug: grant.tenant_slug },
    takes: (session) => session.grant_id === grant.id,
    act: () => call('DELETE', `/v1/grants/${encodeURIComponent(grant.id)}`, { query: { wait_ms: 0 } }),
  });
}

/** Revokes all grants of a tenant. */
export function revokeTenant(slug) {
  return run({
    title: 'Revoke all grants of this tenant?',
    sentence: ['Every runtime of ', h('strong', null, slug), ' loses access to every workspace. The tenant itself stays.'],
    query: { tenant_slug: slug },
    takes: (session) => session.tenant_slug === slug,
    act: () => call('POST', '/v1/grants/revoke', { body: { tenant_slug: slug, wait_ms: 0 } }),
  });
}

async function run({ title, sentence, query, takes, act }) {
  const dialog = openDialog(title);
  const buttons = (...all) => h('div', { class: 'buttons' }, ...all);
  const fail = (error) => {
    if (!dialog.signal.aborted) dialog.show(h('p', { class: 'problem', role: 'alert' }, error.message), buttons(button('Close', dialog.close)));
  };
  let mounts;
  try {
    mounts = (await list('/v1/sessions', query, dialog.signal)).filter(takes);
  } catch (error) {
    fail(error);
    return;
  }
  const watched = new Map(mounts.map((session) => [session.id, { session }]));
  const [stand, them] = watched.size === 1 ? ['stands', 'it'] : ['stand', 'them'];
  const effect = watched.size
    ? `${counted(watched.size, 'mount')} ${stand} on it. In ${them} every call fails from then on, also on open files.`
    : 'No mount stands on it at the moment.';
  const cancel = button('Cancel', dialog.close);
  dialog.show(
    h('p', null, ...sentence),
    h('p', null, effect, ' This cannot be undone.'),
    rows(watched),
    buttons(cancel, button('Revoke', () => watch(dialog, watched, { query, takes, act }).catch(fail), 'danger')),
  );
  cancel.focus();
}

/** Revokes once it is followed what that fences, and shows it until all mounts are out. */
async function watch(dialog, watched, { query, takes, act }) {
  const over = new AbortController();
  const signal = AbortSignal.any([dialog.signal, over.signal]);
  let outcome;
  const draw = () => {
    dialog.show(progress(watched, outcome), rows(watched), h('div', { class: 'buttons' }, button('Close', dialog.close, 'primary')));
    if (outcome && watched.size >= outcome.matched && [...watched.values()].every(({ out }) => out)) over.abort();
  };
  const revoke = async () => {
    const begun = performance.now();
    const { grants, sessions } = await act();
    outcome = { grants: grants.length, matched: sessions.matched, ms: performance.now() - begun };
    draw();
  };
  const told = (entry) => {
    if (takes(entry)) note(watched, entry);
    draw();
  };
  draw();
  dialog.element.querySelector('button').focus();
  try {
    await new Promise((resolve, reject) => {
      let begun;
      const begin = () => (begun ??= revoke().then(() => true, reject));
      signal.addEventListener('abort', resolve, { once: true });
      // What was asked for is done, also if nobody watches or can watch.
      dialog.signal.addEventListener('abort', begin, { once: true, signal: over.signal });
      followGoing(query, signal, begin, told).catch(async (error) => {
        if (await begin()) reject(new Error(`It is revoked for good. Its mounts cannot be watched: ${error.message}`));
      });
      pause(WATCH_MS, signal).then(resolve, () => {});
    });
  } finally {
    over.abort();
  }
}

/** Takes note of an entry of the audit trail about a mount, also of one that came after the list. */
function note(watched, entry) {
  if (entry.kind === 'session_ended') {
    // Unmounted before it came to that.
    watched.delete(entry.session_id);
    return;
  }
  const mount = watched.get(entry.session_id) ?? { session: { ...entry, id: entry.session_id } };
  watched.set(entry.session_id, mount);
  if (entry.kind === 'session_fenced') {
    mount.fenced = true;
  } else {
    mount.out = { ms: entry.after_ms, how: entry.how };
    say(`The mount of ${entry.host} is out.`);
  }
}

function progress(watched, outcome) {
  const out = [...watched.values()].filter((mount) => mount.out);
  const confirmed = out.filter((mount) => mount.out.how === 'confirmed').length;
  const bar = h('progress', { max: String(Math.max(1, watched.size)), value: String(watched.size ? out.length : outcome ? 1 : 0), 'aria-label': 'Mounts that are out' });
  const words = watched.size ? `${out.length} of ${counted(watched.size, 'mount')} out` : 'No mounts to end';
  if (!outcome) return [h('p', { class: 'big' }, words), bar, h('p', { class: 'note' }, 'Revoking…')];
  const left = watched.size - out.length;
  const rest = left > 0
    ? ` ${counted(left, 'mount')} did not yet: nothing more of ${left === 1 ? 'it' : 'them'} is accepted, and what cannot be reached stalls by itself within a second.`
    : '';
  return [
    h('p', { class: 'big' }, words),
    bar,
    h('p', { class: 'note' }, `${counted(outcome.grants, 'grant')} revoked for good in ${duration(outcome.ms)}; ${counted(confirmed, 'mount')} confirmed that every call fails.${rest}`),
  ];
}

function rows(watched) {
  const row = ({ session, fenced, out }) =>
    h('li', { key: session.id, class: out ? 'out' : '' },
      out ? chip('bad', 'out') : fenced ? chip('warn', 'fenced') : chip('good', 'mounted'),
      h('span', null, h('span', { class: 'name' }, session.host), h('span', { class: 'below' }, `${holder(session)} · ${session.workspace}`)),
      h('span', { class: 'note' }, out ? [`after ${duration(out.ms)}`, h('span', { class: 'below' }, out.how === 'confirmed' ? 'confirmed' : 'its lease is over')] : ''));
  return h('ul', { class: 'mounts' }, ...[...watched.values()].map(row));
}
