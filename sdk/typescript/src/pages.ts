/** A part of a list. */
export interface Page<T> {
  items: T[];
  /** Give this as `cursor` to go on; null at the end. */
  next_cursor: string | null;
}

/** Which part of a list. */
export interface PageOptions {
  /** How many items are asked for at a time; at most 200 are given. */
  limit?: number;
  /** The `next_cursor` of the page before; the list begins behind it. */
  cursor?: string;
}

/** A list that is fetched page by page while it is gone through: `for await (const item of list)`. */
export class Paginated<T, P extends Page<T> = Page<T>> implements AsyncIterable<T> {
  /** `fetchPage` gets the cursor to go on from. */
  constructor(
    private readonly fetchPage: (cursor: string | undefined) => Promise<P>,
    private readonly start: string | undefined,
  ) {}

  /** The first page alone. */
  page(): Promise<P> {
    return this.fetchPage(this.start);
  }

  /** Page by page. A page may be empty and still not be the last. */
  async *pages(): AsyncGenerator<P, void, undefined> {
    let cursor = this.start;
    for (;;) {
      const page = await this.fetchPage(cursor);
      yield page;
      if (page.next_cursor === null) return;
      cursor = page.next_cursor;
    }
  }

  /** All of it, in memory. */
  async all(): Promise<T[]> {
    const items: T[] = [];
    for await (const page of this.pages()) items.push(...page.items);
    return items;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for await (const page of this.pages()) yield* page.items;
  }
}
