import { segment } from './address.js';
import type { PostOptions, RequestOptions } from './options.js';
import { Paginated, type Page, type PageOptions } from './pages.js';
import type { WaitOptions } from './platform.js';
import type { Transport } from './transport.js';
import type { ApiKey, CreatedApiKey, KeyScope, RevokedApiKey } from './types.js';

export interface CreateApiKeyOptions extends PostOptions {
  /** For people. */
  name?: string;
  /** What it is confined to; to nothing unless given. */
  scope?: KeyScope;
  /** From when it opens nothing. Excludes `ttlSeconds`. */
  expiresAt?: string | Date;
  /** How long it opens anything. Excludes `expiresAt`. */
  ttlSeconds?: number;
}

/** API keys. They are managed with a key that has no scope. */
export class ApiKeys {
  constructor(private readonly transport: Transport) {}

  /** Makes a key. Its secret is in `key` of this one answer. */
  create(options: CreateApiKeyOptions = {}): Promise<CreatedApiKey> {
    const { name, scope, ttlSeconds: ttl_seconds, expiresAt } = options;
    const expires_at = expiresAt instanceof Date ? expiresAt.toISOString() : expiresAt;
    return this.transport.json({ method: 'POST', path: '/v1/api-keys', json: { name, scope, expires_at, ttl_seconds } }, options);
  }

  /** Oldest first, revoked ones included. */
  list(options: PageOptions & RequestOptions = {}): Paginated<ApiKey> {
    const fetchPage = (cursor: string | undefined) =>
      this.transport.json<Page<ApiKey>>({ method: 'GET', path: '/v1/api-keys', query: { limit: options.limit, cursor } }, options);
    return new Paginated(fetchPage, options.cursor);
  }

  /** Revokes a key and ends the sessions that were opened with it. */
  revoke(id: string, options: WaitOptions & RequestOptions = {}): Promise<RevokedApiKey> {
    const { waitMs } = options;
    return this.transport.json({ method: 'DELETE', path: `/v1/api-keys/${segment(id)}`, query: { wait_ms: waitMs }, waitMs }, options);
  }
}
