import { segment } from './address.js';
import { LockHeldError } from './errors.js';
import { events } from './events.js';
import { holding, type Holding } from './holding.js';
import type { LockEvent } from './lock-events.js';
import type { PostOptions, RequestOptions } from './options.js';
import { Paginated, type Page, type PageOptions } from './pages.js';
import type { Transport } from './transport.js';
import type { HeldLock, Lock, LockMode, ReleasedLock } from './types.js';
import type { WorkspacePaths } from './workspace-paths.js';

const DEFAULT_TTL_MS = 30_000;
/** `fetch` gives up on an answer that does not begin within five minutes, so longer waits are cut into pieces of this. */
const LONGEST_PIECE_MS = 240_000;
/** What ends so much before its time was not waited for, and would not be a second time. */
const SLACK_MS = 1_000;

export interface AcquireOptions extends PostOptions {
  /** `exclusive` unless given. */
  mode?: LockMode;
  /** Of a semaphore: how many may hold it at a time. Whoever is first decides, all others say the same number. */
  permits?: number;
  /** How long it is held without a renewal, in milliseconds: 1,000 to 86,400,000; 30,000 unless given. */
  ttlMs?: number;
  /** How long to wait for it, in milliseconds; not at all unless given. A wait of more than four minutes loses its place in the queue every four. */
  waitMs?: number;
  /** For people who read the list. */
  note?: string;
  /** Who it is for: a wait that would deadlock is refused if all who take part name themselves. */
  owner?: string;
}

/**
 * Named locks of a workspace, seen by every runtime that may use it. The `token` of a mount ticket is a credential for them, as `apiKey`;
 * with one, name the workspace `handle/name`.
 */
export class Locks {
  constructor(
    private readonly transport: Transport,
    private readonly paths: WorkspacePaths,
  ) {}

  /** Takes a lock. Throws `LockHeldError` if it is not free in time, `DeadlockError` if waiting would never end. */
  async acquire(workspace: string, lock: string, options: AcquireOptions = {}): Promise<HeldLock> {
    const path = `${await this.#path(workspace, lock, options)}/acquire`;
    const { mode = 'exclusive', permits, ttlMs: ttl_ms = DEFAULT_TTL_MS, note, owner } = options;
    const end = performance.now() + (options.waitMs ?? 0);
    let waitMs = options.waitMs;
    for (let { idempotencyKey } = options; ; idempotencyKey = undefined) {
      const begun = performance.now();
      const piece = waitMs === undefined ? undefined : Math.min(waitMs, LONGEST_PIECE_MS);
      const json = { mode, permits, ttl_ms, wait_ms: piece, note, owner };
      try {
        return await this.transport.json({ method: 'POST', path, json, waitMs: piece }, { ...options, idempotencyKey });
      } catch (error) {
        const waited = performance.now() - begun >= (piece ?? 0) - SLACK_MS;
        waitMs = Math.floor(end - performance.now());
        if (!(error instanceof LockHeldError && waited && waitMs > SLACK_MS)) throw error;
      }
    }
  }

  /** Holds a lock for longer. Throws `StaleTokenError` if it is not held under this id any more. */
  async renew(workspace: string, lock: string, options: { lockId: string; ttlMs?: number } & PostOptions): Promise<HeldLock> {
    const json = { lock_id: options.lockId, ttl_ms: options.ttlMs ?? DEFAULT_TTL_MS };
    return this.transport.json({ method: 'POST', path: `${await this.#path(workspace, lock, options)}/renew`, json }, options);
  }

  /** Gives a lock back; whoever waits for it has it at once. Throws `StaleTokenError` if it is not held under this id any more. */
  async release(workspace: string, lock: string, options: { lockId: string } & PostOptions): Promise<ReleasedLock> {
    const json = { lock_id: options.lockId };
    return this.transport.json({ method: 'POST', path: `${await this.#path(workspace, lock, options)}/release`, json }, options);
  }

  /** What is locked, names and files, with everybody who holds it or waits for it. */
  list(workspace: string, options: PageOptions & RequestOptions = {}): Paginated<Lock> {
    const fetchPage = async (cursor: string | undefined) => {
      const path = `${await this.paths.of(workspace, options)}/locks`;
      return this.transport.json<Page<Lock>>({ method: 'GET', path, query: { limit: options.limit, cursor } }, options);
    };
    return new Paginated(fetchPage, options.cursor);
  }

  /**
   * What happens to the named locks, for as long as the signal and the credential let it. Begins with `ready`: list after it, and nothing is
   * missed. A stream that breaks off is taken up where it was; if events are lost meanwhile there is a `gap`: list again.
   */
  async *events(
    workspace: string,
    options: { lock?: string; lastEventId?: string } & Pick<RequestOptions, 'signal'> = {},
  ): AsyncGenerator<LockEvent, void, undefined> {
    const path = `${await this.paths.of(workspace, options)}/locks/events`;
    const { lock, lastEventId, signal } = options;
    for await (const event of events(this.transport, { path, query: { lock }, lastEventId, signal })) {
      yield { ...JSON.parse(event.data), type: event.type, id: event.id } as LockEvent;
    }
  }

  /**
   * Runs `work` under a lock that is renewed meanwhile and released afterwards, and gives what it gives. If the lock is lost, the
   * `signal` that `work` gets is aborted, and this rejects with `LockLostError` whatever `work` does.
   */
  async withLock<R>(workspace: string, lock: string, options: AcquireOptions, work: (held: Holding) => Promise<R> | R): Promise<R> {
    const ttlMs = options.ttlMs ?? DEFAULT_TTL_MS;
    let since = performance.now();
    const held = await this.acquire(workspace, lock, { ...options, ttlMs });
    const lockId = held.lock_id;
    if (performance.now() - since > ttlMs / 3) {
      // It was given to us some time in the wait; from here on it is known since when we have it.
      since = performance.now();
      await this.renew(workspace, lock, { lockId, ttlMs, signal: options.signal });
    }
    const renew = (limit: RequestOptions) => this.renew(workspace, lock, { lockId, ttlMs, ...limit });
    const release = () => this.release(workspace, lock, { lockId });
    return holding({ name: lock, held, ttlMs, since, renew, release }, work, options.signal);
  }

  async #path(workspace: string, lock: string, options: RequestOptions): Promise<string> {
    return `${await this.paths.of(workspace, options)}/locks/${segment(lock)}`;
  }
}
