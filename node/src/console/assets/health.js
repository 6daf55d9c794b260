// How mounts and grants are, from what the API says of them.
import { now } from './api.js';
import { h } from './dom.js';
import { duration } from './format.js';
import { bar, chip } from './parts.js';

/** How a mount is: `[kind, word]`. */
export function healthOf(session) {
  if (session.state === 'lapsed') return ['bad', 'lapsed'];
  return session.connected ? ['good', 'live'] : ['warn', 'reconnecting'];
}

/** The same as a chip. */
export function health(session) {
  return chip(...healthOf(session));
}

/** What is left of the time for which the node keeps it without hearing of it. */
export function lease(session) {
  const end = Date.parse(session.lease_ends_at);
  const [left, whole] = [end - now(), end - Date.parse(session.last_heard_at)];
  const words = left > 0 ? `${duration(Math.min(left, whole))} left` : `over for ${duration(-left)}`;
  return [h('span', null, words), bar(left, whole, left <= 0 ? 'bad' : left < whole / 2 ? 'warn' : 'good')];
}

/** How a grant is: `stands`, `expired` or `revoked`. */
export function stateOf(grant) {
  if (grant.revoked_at) return 'revoked';
  return grant.expires_at && Date.parse(grant.expires_at) <= now() ? 'expired' : 'stands';
}

/** Who a mount is for. */
export function holder(session) {
  return session.tenant_slug ? `${session.tenant_slug} / ${session.runtime_id}` : 'an API key';
}
