import { events } from './events.js';
import type { RequestOptions } from './options.js';
import { Paginated, type Page, type PageOptions } from './pages.js';
import type { Transport } from './transport.js';
import type { AuditEvent, AuditKind } from './types.js';

/** Which entries. */
export interface AuditFilter {
  tenantSlug?: string;
  runtimeId?: string;
  /** `name`, `handle/name` or `artifacts://handle/name`. */
  workspace?: string;
  kind?: AuditKind;
}

/** An entry that has come to the trail. */
export interface AuditEntry {
  type: 'entry';
  /** Where it stands in the trail: `lastEventId` of whoever goes on behind it. */
  id: string;
  entry: AuditEvent;
}

/** All that comes to the trail from now on follows. */
export interface AuditReady {
  type: 'ready';
  id: string;
}

/** The account's audit trail: who granted, issued, mounted and revoked what, and what that fenced. */
export class Audit {
  constructor(private readonly transport: Transport) {}

  /** Oldest first. `since`: what was put into the trail at this instant or later. */
  list(options: AuditFilter & { since?: string | Date } & PageOptions & RequestOptions = {}): Paginated<AuditEvent> {
    const since = options.since instanceof Date ? options.since.toISOString() : options.since;
    const fetchPage = (cursor: string | undefined) => {
      const query = { ...filter(options), since, limit: options.limit, cursor };
      return this.transport.json<Page<AuditEvent>>({ method: 'GET', path: '/v1/audit', query }, options);
    };
    return new Paginated(fetchPage, options.cursor);
  }

  /**
   * The entries as they come, for as long as the signal and the credential let it. Begins with `ready`: list after it, and nothing is
   * missed. With the `lastEventId` of an entry it goes on behind that one. A stream that breaks off is taken up where it was.
   */
  async *events(
    options: AuditFilter & { lastEventId?: string } & Pick<RequestOptions, 'signal'> = {},
  ): AsyncGenerator<AuditEntry | AuditReady, void, undefined> {
    const { lastEventId, signal } = options;
    for await (const event of events(this.transport, { path: '/v1/audit/events', query: filter(options), lastEventId, signal })) {
      const { type, id, data } = event;
      yield type === 'ready' ? { type, id } : { type: 'entry', id, entry: JSON.parse(data) as AuditEvent };
    }
  }
}

function filter({ tenantSlug, runtimeId, workspace, kind }: AuditFilter): Record<string, string | undefined> {
  return { tenant_slug: tenantSlug, runtime_id: runtimeId, workspace, kind };
}
