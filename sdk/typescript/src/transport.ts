// Sends calls, again where that helps, and turns what goes wrong into errors.
//
// Always true: all tries of one POST bear one idempotency key, so that it is carried out once; a body that can be read only
// once is sent only once; nobody is waited for beyond a call's time limit or its caller's signal.

import { randomUUID } from 'node:crypto';
import type { ReadableStream as BodyStream } from 'node:stream/web';

import { ApiError, ArtifactsError, ConnectionError, TimeoutError, errorOf } from './errors.js';
import type { PostOptions, RequestOptions, Settings } from './options.js';
import { pauseMs, retryAfterMs } from './retry.js';
import { VERSION } from './version.js';

/** What is sent to the API. */
export interface Call {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** From `/v1` on, encoded. */
  path: string;
  /** What is undefined is left out. */
  query?: Record<string, string | number | boolean | undefined>;
  headers?: Record<string, string | undefined>;
  /** Sent as JSON. */
  json?: unknown;
  /** Sent as it is. */
  content?: Content;
  /** How long the node may take for what it was asked to wait for, beside the time limit. */
  waitMs?: number;
  /** Whether the body of the answer is read by the caller, in its own time. */
  streams?: boolean;
}

/** The bytes of a body. What is not all in memory is read once, so such a call is not tried again. */
export type Content = string | Uint8Array | Blob | BodyStream<Uint8Array> | AsyncIterable<Uint8Array>;

/** An answer, and how to let go of what watches over the reading of its body. */
export interface Answer {
  response: Response;
  release: () => void;
}

type Init = NonNullable<Parameters<typeof globalThis.fetch>[1]> & { duplex?: 'half' };

export class Transport {
  constructor(private readonly settings: Settings) {}

  /** The answer's JSON; undefined if it has no body. */
  async json<T>(call: Call, options: PostOptions = {}): Promise<T> {
    const { response, text } = await this.tried(call, options, async (answer) => ({ response: answer, text: await answer.text() }));
    if (text === '') return undefined as T;
    try {
      return JSON.parse(text) as T;
    } catch (error) {
      throw new ConnectionError(`the answer to ${call.method} ${call.path} (status ${response.status}) is not JSON; is that a node?`, {
        cause: error,
      });
    }
  }

  /** The answer with its body unread. Whoever has read it calls `release`. */
  async open(call: Call, options: RequestOptions = {}): Promise<Answer> {
    let release = () => {};
    const response = await this.tried({ ...call, streams: true }, options, async (answer, letGo) => {
      release = letGo;
      return answer;
    });
    return { response, release };
  }

  private async tried<R>(call: Call, options: PostOptions, read: (answer: Response, letGo: () => void) => Promise<R>): Promise<R> {
    const { signal } = options;
    const again = replayable(call.content) ? (options.retries ?? this.settings.retries) : 0;
    const key = call.method === 'POST' ? (options.idempotencyKey ?? randomUUID()) : undefined;
    for (let tries = 1; ; tries += 1) {
      signal?.throwIfAborted();
      try {
        return await this.attempt(call, options, key, read);
      } catch (error) {
        // What the caller has ended is not an error of ours.
        signal?.throwIfAborted();
        const pause = tries > again ? undefined : pauseMs(error, tries, Math.random());
        if (pause === undefined) throw afterTries(call, error, tries);
        await sleep(pause, signal);
      }
    }
  }

  private async attempt<R>(
    call: Call,
    options: RequestOptions,
    key: string | undefined,
    read: (answer: Response, letGo: () => void) => Promise<R>,
  ): Promise<R> {
    const limit = new AbortController();
    // How long a body takes depends on its length.
    const usualMs = call.content === undefined ? this.settings.timeoutMs : undefined;
    const tryMs = options.timeoutMs ?? usualMs;
    const limitMs = tryMs === undefined ? undefined : tryMs + (call.waitMs ?? 0);
    const passOn = () => limit.abort(options.signal?.reason);
    options.signal?.addEventListener('abort', passOn, { once: true });
    const late = () => limit.abort(new TimeoutError(`no answer to ${call.method} ${call.path} within ${limitMs} ms`));
    const timer = limitMs === undefined ? undefined : setTimeout(late, limitMs);
    const letGo = () => options.signal?.removeEventListener('abort', passOn);
    let streaming = false;
    try {
      const response = await this.settings.fetch(this.url(call), this.init(call, key, limit.signal));
      if (!response.ok && response.status !== 304) {
        throw errorOf(response.status, await response.text(), {
          requestId: response.headers.get('x-request-id') ?? undefined,
          retryAfterMs: retryAfterMs(response.headers.get('retry-after'), Date.now()),
        });
      }
      const result = await read(response, letGo);
      streaming = call.streams === true;
      return result;
    } catch (error) {
      if (limit.signal.aborted) throw limit.signal.reason;
      if (error instanceof ArtifactsError) throw error;
      throw new ConnectionError(`${call.method} ${this.settings.baseUrl}${call.path} was not answered: ${reason(error)}`, { cause: error });
    } finally {
      clearTimeout(timer);
      if (!streaming) letGo();
    }
  }

  private url(call: Call): string {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) query.append(name, String(value));
    }
    const tail = query.toString() === '' ? '' : `?${query}`;
    return `${this.settings.baseUrl}${call.path}${tail}`;
  }

  private init(call: Call, key: string | undefined, signal: AbortSignal): Init {
    const headers: Record<string, string> = {
      authorization: `Bearer ${this.settings.apiKey}`,
      'user-agent': `artifacts-typescript/${VERSION}`,
    };
    for (const [name, value] of Object.entries(call.headers ?? {})) {
      if (value !== undefined) headers[name] = value;
    }
    if (key !== undefined) headers['idempotency-key'] = key;
    // A redirect would take the key somewhere else; it is answered as the error that it is.
    const init: Init = { method: call.method, headers, signal, redirect: 'manual' };
    if (call.json !== undefined) {
      headers['content-type'] = 'application/json';
      init.body = JSON.stringify(call.json);
    } else if (call.content !== undefined) {
      headers['content-type'] ??= 'application/octet-stream';
      init.body = call.content as NonNullable<Init['body']>;
      if (!replayable(call.content)) init.duplex = 'half';
    }
    return init;
  }
}

function replayable(content: Content | undefined): boolean {
  return content === undefined || typeof content === 'string' || content instanceof Uint8Array || content instanceof Blob;
}

/** An earlier try may have been carried out although its answer was lost: then a later one finds nothing to delete, or another state. */
function afterTries(call: Call, error: unknown, tries: number): unknown {
  const doubtful = error instanceof ApiError && [404, 412].includes(error.status) && ['DELETE', 'PUT'].includes(call.method) && tries > 1;
  if (!doubtful) return error;
  const { code, message, status, requestId } = error;
  const hint = 'an earlier try of this call was not answered, and may have done it';
  return errorOf(status, JSON.stringify({ code, message, hint, request_id: requestId }), {});
}

/** What `fetch` says is in the causes of its error. */
function reason(error: unknown): string {
  let inner: unknown = error;
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause;
  const { code, message } = inner as { code?: string; message?: string };
  return message || code || String(inner);
}

/** Waits; rejects with the signal's reason when that is aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const end = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', end);
      resolve();
    }, ms);
    signal?.addEventListener('abort', end, { once: true });
  });
}

/** A body that says when it has been read, given up or broken off. */
export function watched(body: BodyStream<Uint8Array>, release: () => void): BodyStream<Uint8Array> {
  const reader = body.getReader();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (!done) return controller.enqueue(value);
        release();
        controller.close();
      } catch (error) {
        release();
        throw error instanceof TypeError ? new ConnectionError('the answer broke off', { cause: error }) : error;
      }
    },
    async cancel(why) {
      release();
      await reader.cancel(why);
    },
  });
}
