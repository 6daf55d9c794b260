import { EventParser, type StreamEvent } from './event-stream.js';
import { ConnectionError } from './errors.js';
import { isTransient, pauseMs } from './retry.js';
import { sleep, watched, type Answer, type Transport } from './transport.js';

/** A comment comes every 15 seconds. Where three of them are missing the connection is dead. */
const LONGEST_SILENCE_MS = 45_000;
const FIRST_PAUSE_MS = 250;

/** Which events. */
export interface EventsWish {
  path: string;
  query: Record<string, string | undefined>;
  lastEventId?: string;
  signal?: AbortSignal;
}

/** The events of a stream that is opened again, behind the last one that was seen, whenever it ends. */
export async function* events(transport: Transport, wish: EventsWish): AsyncGenerator<StreamEvent, void, undefined> {
  let last = wish.lastEventId;
  let failures = 0;
  for (;;) {
    try {
      const headers = { accept: 'text/event-stream', 'last-event-id': last };
      const call = { method: 'GET' as const, path: wish.path, query: wish.query, headers };
      const answer = await transport.open(call, { signal: wish.signal, retries: 0 });
      for await (const event of eventsOf(answer)) {
        failures = 0;
        if (event.id !== '') last = event.id;
        yield event;
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
