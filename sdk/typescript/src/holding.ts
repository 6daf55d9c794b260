import { ApiError, LockLostError } from './errors.js';
import type { RequestOptions } from './options.js';
import { isTransient } from './retry.js';
import { sleep } from './transport.js';
import type { HeldLock } from './types.js';

/** What works under a lock gets. */
export interface Holding {
  /** Aborted when the lock is lost, or by the caller's own signal. Give it to what you call. */
  signal: AbortSignal;
  /** Hand it to what the lock protects, to refuse latecomers: a process that was suspended learns too late that it has lost the lock. */
  fencingToken: number;
  lockId: string;
}

/** A lock that was just taken. */
export interface Taken {
  name: string;
  held: HeldLock;
  ttlMs: number;
  /** A moment of `performance.now()` before which it was not held: its life is counted from there. */
  since: number;
  renew: (limit: RequestOptions) => Promise<HeldLock>;
  release: () => Promise<unknown>;
}

/** Runs `work` while the lock is renewed, then releases it. Rejects with `LockLostError` if it was lost. */
export async function holding<R>(taken: Taken, work: (held: Holding) => Promise<R> | R, signal?: AbortSignal): Promise<R> {
  const working = new AbortController();
  const done = new AbortController();
  const passOn = () => working.abort(signal?.reason);
  signal?.addEventListener('abort', passOn, { once: true });
  if (signal?.aborted) passOn();
  // Not a variable of its own: the compiler would not see that `lose` sets it.
  const loss: { error?: LockLostError } = {};
  const lose = (why: string, cause?: unknown) => {
    loss.error ??= new LockLostError(`the lock \`${taken.name}\` is lost: ${why}`, { cause });
    done.abort();
    working.abort(loss.error);
  };
  const renewing = keep(taken, lose, done.signal);
  try {
    const result = await work({ signal: working.signal, fencingToken: taken.held.fencing_token, lockId: taken.held.lock_id });
    if (loss.error === undefined) return result;
  } catch (error) {
    if (loss.error === undefined) throw error;
    loss.error.cause ??= error;
  } finally {
    signal?.removeEventListener('abort', passOn);
    done.abort();
    await renewing;
    if (loss.error === undefined) {
      // If nobody answers it runs out by itself.
      await taken.release().catch((error: unknown) => {
        if (error instanceof ApiError && !isTransient(error)) lose(error.message, error);
      });
    }
  }
  throw loss.error;
}

/** Renews at a third of its life, more often when that fails, until `done`. Never rejects. */
async function keep(taken: Taken, lose: (why: string, cause?: unknown) => void, done: AbortSignal): Promise<void> {
  let end = taken.since + taken.ttlMs;
  let pause = taken.ttlMs / 3;
  let failure: unknown;
  while (!done.aborted) {
    const left = end - performance.now();
    if (left <= 0) return lose('it could not be renewed in time', failure);
    try {
      await sleep(Math.min(pause, left), done);
    } catch {
      return;
    }
    const sent = performance.now();
    if (sent >= end) continue;
    try {
      await taken.renew({ signal: done, timeoutMs: Math.max(1, end - sent), retries: 0 });
      end = sent + taken.ttlMs;
      pause = taken.ttlMs / 3;
    } catch (error) {
      if (done.aborted) return;
      if (error instanceof ApiError && !isTransient(error)) return lose(error.message, error);
      failure = error;
      pause = Math.min(1_000, (end - performance.now()) / 4);
    }
  }
}
