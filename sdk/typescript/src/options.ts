import { ConfigurationError } from './errors.js';

const DEFAULT_URL = 'http://127.0.0.1:7700';
const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_RETRIES = 4;

/** How to reach the API. */
export interface ArtifactsOptions {
  /** The API key; `TONBO_API_KEY` unless given. For locks and nothing else, the `token` of a mount ticket will do. */
  apiKey?: string;
  /** Where a node is; `TONBO_API_URL` unless given, else `http://127.0.0.1:7700`. */
  baseUrl?: string;
  /** How long one try may take, in milliseconds; 30,000 unless given. Waiting for a lock is added to it. */
  timeoutMs?: number;
  /** How often a call that failed in passing is tried again; 4 unless given. All tries bear one idempotency key. */
  retries?: number;
  /** Instead of the global `fetch`. */
  fetch?: typeof globalThis.fetch;
}

/** How one call is made. */
export interface RequestOptions {
  /** Ends the call; it rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Instead of the client's, in milliseconds. */
  timeoutMs?: number;
  /** Instead of the client's. */
  retries?: number;
}

/** How one call that creates or changes something is made. */
export interface PostOptions extends RequestOptions {
  /** 1 to 255 visible ASCII characters: the same key gets the same answer for 24 hours. One of its own for each call unless given. */
  idempotencyKey?: string;
}

/** The options with everything filled in. */
export interface Settings {
  apiKey: string;
  baseUrl: string;
  timeoutMs: number;
  retries: number;
  fetch: typeof globalThis.fetch;
}

/** Fills in what was not given. `env` is the environment. */
export function settings(options: ArtifactsOptions, env: Record<string, string | undefined>): Settings {
  const apiKey = (options.apiKey ?? env['TONBO_API_KEY'] ?? '').trim();
  if (apiKey === '') {
    throw new ConfigurationError('there is no API key: set TONBO_API_KEY, or give `apiKey`');
  }
  if (!/^[\x21-\x7e]+$/.test(apiKey)) {
    throw new ConfigurationError('the API key holds characters that no key has; copy it again');
  }
  const given = options.baseUrl ?? env['TONBO_API_URL'];
  const baseUrl = given === undefined || given === '' ? DEFAULT_URL : given;
  let url: URL;
  try {
    url = new URL(baseUrl);
  } catch {
    throw new ConfigurationError(`\`${baseUrl}\` is not a URL: give TONBO_API_URL or \`baseUrl\` as in ${DEFAULT_URL}`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new ConfigurationError(`\`${baseUrl}\` is not a URL of http or https`);
  }
  const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const retries = options.retries ?? DEFAULT_RETRIES;
  if (!(timeoutMs > 0)) throw new ConfigurationError('`timeoutMs` must be greater than 0');
  if (!(Number.isInteger(retries) && retries >= 0)) throw new ConfigurationError('`retries` must be 0 or more');
  // Called through an object of ours, the global one would miss its own.
  const fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  return { apiKey, baseUrl: baseUrl.replace(/\/+$/, ''), timeoutMs, retries, fetch };
}
