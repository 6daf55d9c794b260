// Taking access away, and watching the mounts go out.
import { call, list } from './api.js';
import { openDialog } from './dialog.js';
import { h, say } from './dom.js';
import { counted, duration } from './format.js';
import { holder } from './health.js';
import { pause } from './live.js';
import { button, chip } from './parts.js';

/** How often it is looked which mounts are left. */
const LOOK_MS = 30;
/** How long the call waits for mounts to confirm, and the longest that is watched. */
const WAIT_MS = 5_000;
const WATCH_MS = 15_000;

/** Revokes one grant. */
export function revokeGrant(grant) {
  const who = grant.runtime_id ? `${grant.tenant_slug} / ${grant.runtime_id}` : `every runtime of ${grant.tenant_slug}`;
  const below = grant.subpath ? `, below ${grant.subpath}` : '';
  return run({
    title: 'Revoke this grant?',
    sentence: [h('strong', null, who), ' loses ', h('strong', null, grant.mode), ' access to ', h('strong', null, grant.workspace), `${below}.`],
    query: { tenant_slug: grant.tenant_slug },
    takes: (session) => session.grant_id === grant.id,
    act: () => call('DELETE', `/v1/grants/${encodeURIComponent(grant.id)}`, { query: { wait_ms: WAIT_MS } }),
  });
}

/** Revokes all grants of a tenant. */
export function revokeTenant(slug) {
  return run({
    title: 'Revoke all grants of this tenant?',
    sentence: ['Every runtime of ', h('strong', null, slug), ' loses access to every workspace. The tenant itself stays.'],
    query: { tenant_slug: slug },
    takes: (session) => session.tenant_slug === slug,
    act: () => call('POST', '/v1/grants/revoke', { body: { tenant_slug: slug, wait_ms: WAIT_MS } }),
  });
}

async function run({ title, sentence, query, takes, act }) {
  const dialog = openDialog(title);
  const { signal } = dialog;
  const look = async () => (await list('/v1/sessions', query, signal)).filter(takes);
  const buttons = (...all) => h('div', { class: 'buttons' }, ...all);
  const fail = (error) => {
    if (!signal.aborted) dialog.show(h('p', { class: 'problem', role: 'alert' }, error.message), buttons(button('Close', dialog.close)));
  };
  let mounts;
  try {
    mounts = await look();
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
    buttons(cancel, button('Revoke', () => watch(dialog, watched, look, act).catch(fail), 'danger')),
  );
  cancel.focus();
}

async function watch(dialog, watched, look, act) {
  const begun = performance.now();
  const since = () => performance.now() - begun;
  let outcome;
  const acting = act().then(
    (answer) => (outcome = { sessions: answer.sessions, grants: answer.grants, ms: since() }),
    (error) => (outcome = { error }),
  );
  const draw = () => dialog.show(progress(watched, outcome), rows(watched), h('div', { class: 'buttons' }, button('Close', dialog.close, 'primary')));
  draw();
  dialog.element.querySelector('button').focus();
  while (since() < WATCH_MS) {
    const left = await look().catch((error) => {
      if (dialog.signal.aborted) throw error;
      // The node may be busy; what matters is what it says in the end.
      return null;
    });
    if (outcome?.error) throw outcome.error;
    if (left) note(watched, left, since());
    draw();
    if (outcome && [...watched.values()].every(({ out }) => out !== undefined)) break;
    await pause(LOOK_MS, dialog.signal);
  }
  await acting;
  if (outcome.error) throw outcome.error;
  draw();
}

function note(watched, left, ms) {
  for (const session of left) if (!watched.has(session.id)) watched.set(session.id, { session });
  const living = new Set(left.map(({ id }) => id));
  for (const mount of watched.values()) {
    if (mount.out !== undefined || living.has(mount.session.id)) continue;
    mount.out = ms;
    say(`The mount of ${mount.session.host} is out.`);
  }
}

function progress(watched, outcome) {
  const out = [...watched.values()].filter((mount) => mount.out !== undefined).length;
  const bar = h('progress', { max: String(Math.max(1, watched.size)), value: String(watched.size ? out : outcome ? 1 : 0), 'aria-label': 'Mounts that are out' });
  const words = watched.size ? `${out} of ${counted(watched.size, 'mount')} out` : 'No mounts to end';
  if (!outcome) return [h('p', { class: 'big' }, words), bar, h('p', { class: 'note' }, 'Revoking…')];
  const { sessions, grants, ms } = outcome;
  const silent = sessions.matched - sessions.confirmed;
  const rest = silent > 0
    ? ` ${counted(silent, 'mount')} did not confirm in time: nothing more of ${silent === 1 ? 'it' : 'them'} is accepted, and what cannot be reached stalls by itself within a second.`
    : '';
  return [
    h('p', { class: 'big' }, words),
    bar,
    h('p', { class: 'note' }, `${counted(grants.length, 'grant')} revoked for good in ${duration(ms)}; ${counted(sessions.confirmed, 'mount')} confirmed that every call fails.${rest}`),
  ];
}

function rows(watched) {
  const row = ({ session, out }) =>
    h('li', { key: session.id, class: out === undefined ? '' : 'out' },
      out === undefined ? chip('good', 'mounted') : chip('bad', 'out'),
      h('span', null, h('span', { class: 'name' }, session.host), h('span', { class: 'below' }, `${holder(session)} · ${session.workspace}`)),
      h('span', { class: 'note' }, out === undefined ? '' : `within ${duration(out)}`));
  return h('ul', { class: 'mounts' }, ...[...watched.values()].map(row));
}
