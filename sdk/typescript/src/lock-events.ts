import type { LockEventData } from './types.js';

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
