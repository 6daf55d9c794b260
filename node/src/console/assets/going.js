// Mounts as they end, are fenced and go out, as the audit trail tells it.
import { events } from './api.js';
import { pause } from './live.js';

const AGAIN_MS = 500;
const KINDS = ['session_ended', 'session_fenced', 'session_out'];

/**
 * Follows those that match `query` until `signal`, whatever becomes of the stream: one that breaks is taken up where it was. `ready` is
 * called once, when no mount can be missed any more, and `told` with each entry.
 */
export async function followGoing(query, signal, ready, told) {
  let last;
  for (;;) {
    try {
      for await (const { event, id, data } of events('/v1/audit/events', query, signal, last)) {
        last = id;
        if (event === 'ready') ready();
        else if (KINDS.includes(event)) told(JSON.parse(data));
      }
    } catch (error) {
      if (signal.aborted || last === undefined) throw error;
    }
    await pause(AGAIN_MS, signal);
  }
}
