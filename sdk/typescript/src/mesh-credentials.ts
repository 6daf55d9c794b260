import { segment } from './address.js';
import type { PostOptions, RequestOptions } from './options.js';
import { Paginated, type Page, type PageOptions } from './pages.js';
import type { Transport } from './transport.js';
import type { AccountCells, CreatedMeshCredential, MeshCredential } from './types.js';

export interface CreateMeshCredentialOptions extends PostOptions {
  /** For people. */
  name?: string;
  /** From when it lets nobody in. Excludes `ttlSeconds`; without either it is good for 90 days. */
  expiresAt?: string | Date;
  /** How long it lets anybody in. Excludes `expiresAt`. */
  ttlSeconds?: number;
}

/** What the agents of hosts join the mesh with. They are managed with a key that has no scope. */
export class MeshCredentials {
  constructor(private readonly transport: Transport) {}

  /** Makes a credential. Its secret is in `secret` of this one answer. */
  create(options: CreateMeshCredentialOptions = {}): Promise<CreatedMeshCredential> {
    const { name, ttlSeconds: ttl_seconds, expiresAt } = options;
    const expires_at = expiresAt instanceof Date ? expiresAt.toISOString() : expiresAt;
    return this.transport.json({ method: 'POST', path: '/v1/mesh-credentials', json: { name, expires_at, ttl_seconds } }, options);
  }

  /** Oldest first, revoked ones included. */
  list(options: PageOptions & RequestOptions = {}): Paginated<MeshCredential> {
    const query = (cursor: string | undefined) => ({ limit: options.limit, cursor });
    const fetchPage = (cursor: string | undefined) =>
      this.transport.json<Page<MeshCredential>>({ method: 'GET', path: '/v1/mesh-credentials', query: query(cursor) }, options);
    return new Paginated(fetchPage, options.cursor);
  }

  /** Revokes a credential: its hosts leave the mesh, and their mounts live on by their streams. */
  revoke(id: string, options: RequestOptions = {}): Promise<MeshCredential> {
    return this.transport.json({ method: 'DELETE', path: `/v1/mesh-credentials/${segment(id)}` }, options);
  }

  /** The cells in which the account's hosts gossip: how large each is, which nodes take part, how lately its hosts were heard. */
  cells(options: RequestOptions = {}): Promise<AccountCells> {
    return this.transport.json({ method: 'GET', path: '/v1/mesh/cells' }, options);
  }
}
