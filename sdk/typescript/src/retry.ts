// When a call is tried again, and after how long. Pure: time and chance are passed in.

import { ApiError, ConnectionError, TimeoutError } from './errors.js';

/** The first pause is this long at most, each later one twice as long. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 8_000;
/** A node that asks for more is not waited for. */
const LONGEST_REQUESTED_PAUSE_MS = 60_000;

/** Whether the same call may well succeed a little later. */
export function isTransient(error: unknown): boolean {
  if (error instanceof ConnectionError || error instanceof TimeoutError) return true;
  return error instanceof ApiError && [429, 502, 503, 504].includes(error.status);
}

/**
 * How long to pause before try number `tries` + 1, in milliseconds; `undefined` for not to try again.
 * `chance` is a number from 0 to 1: clients that failed together must not come back together.
 */
export function pauseMs(error: unknown, tries: number, chance: number): number | undefined {
  if (!isTransient(error)) return undefined;
  const most = Math.min(FIRST_PAUSE_MS * 2 ** (tries - 1), LONGEST_PAUSE_MS);
  const pause = most * (0.5 + chance / 2);
  const requested = error instanceof ApiError ? error.retryAfterMs : undefined;
  if (requested === undefined) return pause;
  return requested > LONGEST_REQUESTED_PAUSE_MS ? undefined : requested + (pause * chance) / 2;
}

/** `Retry-After` (RFC 9110 section 10.2.3) in milliseconds: a number of seconds, or a date. */
export function retryAfterMs(header: string | null, nowMs: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d+$/.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - nowMs);
}
