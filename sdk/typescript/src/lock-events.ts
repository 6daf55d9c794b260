import { EventParser, type StreamEvent } from './event-stream.js';
import { ConnectionError } from './errors.js';
import { isTransient, pauseMs } from './retry.js';
import { sleep, watched, type Answer, type Transport } from './transport.js';
import type { LockEventData } from './types.js';

/** A comment comes every 15 seconds. Where three of them are missing the connection is dead. */
const LONGEST_SILENCE_MS = 45_000;
const FIRST_PAUSE_MS = 250;

/** Something that happened to a named lock. */
export interface LockChange extends LockEventData {
  type: 'acquired' | 'released' | 'expired' | 'revoked' | 'waiting' | 'gave_up';
  id: string;
}

/** `ready`: all that happens from now on follows. `gap`: events are lost; list the locks. */
export interface LockNotice {
  type: 'ready' | 'gap';
  id: string;
  message: string;
}

export type LockEvent = LockChange | LockNotice;

/** Which events. */
export interface EventsWish {
  path: string;
  lock?: string;
  lastEventId?: string;
  signal?: AbortSignal;
}

/** The events of a stream that is opened again, behind the last one that was seen, whenever it ends. */
export async function* lockEvents(transport: Transport, wish: EventsWish): AsyncGenerator<LockEvent, void, undefined> {
  let last = wish.lastEventId;
  let failures = 0;
  for (;;) {
    try {
      const headers = { accept: 'text/event-stream', 'last-event-id': last };
      const call = { method: 'GET' as const, path: wish.path, query: { lock: wish.lock }, headers };
      const answer = await transport.open(call, { signal: wish.signal, retries: 0 });
      for await (const event of eventsOf(answer)) {
        failures = 0;
        if (event.id !== '') last = event.id;
        yield { ...JSON.parse(event.data), type: event.type, id: event.id } as LockEvent;
      }
    } catch (error) {
      wish.signal?.throwIfAborted();
      if (!isTransient(error)) throw error;
      await sleep(pauseMs(error, failures + 1, Math.random()) ?? FIRST_PAUSE_MS, wish.signal);
    }
    failures += 1;
    await sleep(FIRST_PAUSE_MS, wish.signal);
  }
}

async function* eventsOf({ response, release }: Answer): AsyncGenerator<StreamEvent> {
  const parser = new EventParser();
  const decoder = new TextDecoder();
  if (response.body === null) return release();
  const reader = watched(response.body, release).getReader();
  let silence: NodeJS.Timeout | undefined;
  try {
    for (;;) {
      const silent = new Promise<never>((_, reject) => {
        silence = setTimeout(() => reject(new ConnectionError('the stream of events fell silent')), LONGEST_SILENCE_MS);
      });
      const { done, value } = await Promise.race([reader.read(), silent]);
      clearTimeout(silence);
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    clearTimeout(silence);
    // A reader that walks away closes the connection.
    await reader.cancel().catch(() => {});
  }
}
