// Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), as far as they are used here.

/** One event. */
export interface StreamEvent {
  type: string;
  /** Empty if none was given so far. */
  id: string;
  data: string;
}

/** Puts events together from text that comes in pieces. */
export class EventParser {
  private rest = '';
  private type = '';
  private id = '';
  private data: string[] = [];

  /** The events that `text` completes. */
  *push(text: string): Generator<StreamEvent> {
    const lines = (this.rest + text).split('\n');
    this.rest = lines.pop() ?? '';
    for (const line of lines) {
      const event = this.line(line.replace(/\r$/, ''));
      if (event !== undefined) yield event;
    }
  }

  private line(line: string): StreamEvent | undefined {
    if (line === '') {
      const event = this.data.length > 0 ? { type: this.type || 'message', id: this.id, data: this.data.join('\n') } : undefined;
      this.type = '';
      this.data = [];
      return event;
    }
    const colon = line.indexOf(':');
    // A comment: it keeps the connection alive.
    if (colon === 0) return undefined;
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'event') this.type = value;
    else if (field === 'id') this.id = value;
    else if (field === 'data') this.data.push(value);
    return undefined;
  }
}
