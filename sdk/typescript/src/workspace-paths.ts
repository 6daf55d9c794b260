import { parseAddress, segment } from './address.js';
import type { RequestOptions } from './options.js';
import type { Transport } from './transport.js';
import type { Whoami } from './types.js';

/** Where workspaces are in the API. A bare name means one of the caller's own, whose handle is asked for once. */
export class WorkspacePaths {
  private handle: string | undefined;

  constructor(private readonly transport: Transport) {}

  /** `/v1/workspaces/{handle}/{name}`. */
  async of(workspace: string, options: RequestOptions): Promise<string> {
    const address = parseAddress(workspace);
    const handle = address.handle ?? (await this.own(options));
    return `/v1/workspaces/${segment(handle)}/${segment(address.name)}`;
  }

  private async own({ signal, timeoutMs, retries }: RequestOptions): Promise<string> {
    if (this.handle === undefined) {
      const { account } = await this.transport.json<Whoami>({ method: 'GET', path: '/v1/whoami' }, { signal, timeoutMs, retries });
      this.handle = account.handle;
    }
    return this.handle;
  }
}
