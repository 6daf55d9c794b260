import { ApiKeys } from './api-keys.js';
import { Audit } from './audit.js';
import { Files } from './files.js';
import { Locks } from './locks.js';
import { MeshCredentials } from './mesh-credentials.js';
import { settings, type ArtifactsOptions, type RequestOptions } from './options.js';
import { Platform } from './platform.js';
import { Transport } from './transport.js';
import type { Whoami } from './types.js';
import { WorkspacePaths } from './workspace-paths.js';
import { Workspaces } from './workspaces.js';

/**
 * A client of the API. Make one and keep it; it holds no connection that would have to be closed.
 *
 * Inputs are camelCase, answers are as the API gives them (snake_case). Every call takes a `signal`. Calls that fail in passing
 * are tried again.
 */
export class Artifacts {
  /** Tenants, grants, tickets, sessions. */
  readonly platform: Platform;
  readonly workspaces: Workspaces;
  /** Files without a mount. */
  readonly files: Files;
  /** Named locks. */
  readonly locks: Locks;
  readonly apiKeys: ApiKeys;
  /** What the agents of hosts join the mesh with. */
  readonly meshCredentials: MeshCredentials;
  /** Who did what. */
  readonly audit: Audit;
  readonly #transport: Transport;

  /** Reads `TONBO_API_KEY` and `TONBO_API_URL` for what is not given. Throws `ConfigurationError`. */
  constructor(options: ArtifactsOptions = {}) {
    const transport = new Transport(settings(options, typeof process === 'undefined' ? {} : process.env));
    const paths = new WorkspacePaths(transport);
    this.#transport = transport;
    this.platform = new Platform(transport, paths);
    this.workspaces = new Workspaces(transport, paths);
    this.files = new Files(transport, paths);
    this.locks = new Locks(transport, paths);
    this.apiKeys = new ApiKeys(transport);
    this.meshCredentials = new MeshCredentials(transport);
    this.audit = new Audit(transport);
  }

  /** Whose key this is. */
  whoami(options: RequestOptions = {}): Promise<Whoami> {
    return this.#transport.json({ method: 'GET', path: '/v1/whoami' }, options);
  }
}
