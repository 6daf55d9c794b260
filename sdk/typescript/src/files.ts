import type { ReadableStream as BodyStream } from 'node:stream/web';

import { filePath } from './address.js';
import type { PostOptions, RequestOptions } from './options.js';
import { Paginated, type Page, type PageOptions } from './pages.js';
import { watched, type Answer, type Content, type Transport } from './transport.js';
import type { FileEntry } from './types.js';
import type { WorkspacePaths } from './workspace-paths.js';

export interface ReadOptions extends RequestOptions {
  /** The first byte; 0 unless given. Below 0: so many from the end. */
  start?: number;
  /** The last byte, itself included; the end of the file unless given. */
  end?: number;
  /** Only if the file is in the state of this `etag`. */
  ifMatch?: string;
  /** Only if it is not: else `notModified` is true, and there is no content. */
  ifNoneMatch?: string;
}

export interface WriteOptions extends RequestOptions {
  /** Only if the file is in the state of this `etag`; `*`: only if there is one. */
  ifMatch?: string;
  /** `*`: only if there is no such file. */
  ifNoneMatch?: '*';
  /** Whether missing directories are made. */
  parents?: boolean;
  /** Permission bits in octal, as in `0644`; those of the file that is replaced, or else `0644`, unless given. */
  mode?: string;
}

/** A file that is being read. Its body comes as it is read; whoever does not want the rest calls `body.cancel()`. */
export class FileContent {
  readonly body: BodyStream<Uint8Array>;
  /** Names this state of the file. */
  readonly etag: string | undefined;
  /** How long the whole file is, in bytes. */
  readonly size: number | undefined;
  /** Whether it is in the state of `ifNoneMatch`; then there is no content. */
  readonly notModified: boolean;

  constructor({ response, release }: Answer) {
    const { headers } = response;
    this.body = watched(response.body ?? new Blob([]).stream(), release);
    this.etag = headers.get('etag') ?? undefined;
    const whole = headers.get('content-range')?.split('/')[1] ?? headers.get('content-length') ?? undefined;
    this.notModified = response.status === 304;
    this.size = whole === undefined || this.notModified ? undefined : Number(whole);
  }

  async bytes(): Promise<Uint8Array> {
    return new Uint8Array(await new Response(this.body).arrayBuffer());
  }

  /** As UTF-8. */
  text(): Promise<string> {
    return new Response(this.body).text();
  }
}

/**
 * Files of a workspace without a mount: what mounts wrote is read, and what is written here is what mounts read from then on. A file is named by its
 * path from the root, or by what a list told of it. The `token` of a mount ticket is a credential for them, as `apiKey`.
 */
export class Files {
  constructor(
    private readonly transport: Transport,
    private readonly paths: WorkspacePaths,
  ) {}

  /** Reads a file, or some bytes of it. */
  async read(workspace: string, file: string | FileEntry, options: ReadOptions = {}): Promise<FileContent> {
    const headers = { range: range(options), 'if-match': options.ifMatch, 'if-none-match': options.ifNoneMatch };
    const path = await this.#path(workspace, file, options);
    return new FileContent(await this.transport.open({ method: 'GET', path, headers }, options));
  }

  /** Writes a file as a whole: whoever looks sees the old one or the new one. Durable once it is answered. Has no time limit unless one is given. */
  async write(workspace: string, file: string | FileEntry, content: Content, options: WriteOptions = {}): Promise<FileEntry> {
    const { ifMatch, ifNoneMatch, parents, mode } = options;
    const headers = { 'if-match': ifMatch, 'if-none-match': ifNoneMatch };
    const path = await this.#path(workspace, file, options);
    return this.transport.json({ method: 'PUT', path, query: { parents, mode }, headers, content }, options);
  }

  /** What is in a directory, in the root unless one is given; with `recursive` all below it. */
  list(workspace: string, options: { path?: string; recursive?: boolean } & PageOptions & RequestOptions = {}): Paginated<FileEntry> {
    const fetchPage = async (cursor: string | undefined) => {
      const query = { path: options.path, recursive: options.recursive, limit: options.limit, cursor };
      return this.transport.json<Page<FileEntry>>({ method: 'GET', path: `${await this.paths.of(workspace, options)}/files`, query }, options);
    };
    return new Paginated(fetchPage, options.cursor);
  }

  /** Removes a file, a symbolic link or a directory: an empty one, or with `recursive` one with all that is in it. */
  async delete(
    workspace: string,
    file: string | FileEntry,
    options: { recursive?: boolean; ifMatch?: string } & RequestOptions = {},
  ): Promise<void> {
    const { recursive, ifMatch } = options;
    const path = await this.#path(workspace, file, options);
    await this.transport.json({ method: 'DELETE', path, query: { recursive }, headers: { 'if-match': ifMatch } }, options);
  }

  /** Gives a file or directory another path, in one step. Throws `FileExistsError` if something is there, unless `overwrite`. */
  async move(workspace: string, from: string, to: string, options: { overwrite?: boolean } & PostOptions = {}): Promise<FileEntry> {
    const json = { from, to, overwrite: options.overwrite };
    return this.transport.json({ method: 'POST', path: `${await this.paths.of(workspace, options)}/files/move`, json }, options);
  }

  async #path(workspace: string, file: string | FileEntry, options: RequestOptions): Promise<string> {
    const path = typeof file === 'string' ? filePath(file) : (file.encoded_path ?? filePath(file.path));
    return `${await this.paths.of(workspace, options)}/files/${path}`;
  }
}

function range({ start, end }: ReadOptions): string | undefined {
  if (start === undefined && end === undefined) return undefined;
  if (start !== undefined && start < 0) return `bytes=${start}`;
  return `bytes=${start ?? 0}-${end ?? ''}`;
}
