import { ConfigurationError } from './errors.js';

/** A workspace as callers name it. */
export interface Address {
  handle?: string;
  name: string;
}

/** Reads `name`, `handle/name` or `artifacts://handle/name`. Which names are good is for the node to say. */
export function parseAddress(text: string): Address {
  const parts = text.replace(/^artifacts:\/\//, '').split('/');
  const [first, second] = parts;
  if (parts.length === 1 && first) return { name: first };
  if (parts.length === 2 && first && second) return { handle: first, name: second };
  throw new ConfigurationError(`\`${text}\` names no workspace: give \`name\`, \`handle/name\` or \`artifacts://handle/name\``);
}

/** One segment of a path in a URL. `.` and `..` would be taken for steps. */
export function segment(text: string): string {
  if (text === '.' || text === '..' || text === '') {
    throw new ConfigurationError(`\`${text}\` cannot be part of a path`);
  }
  return encodeURIComponent(text);
}

/** The path of a file in a workspace, with or without a slash before it. */
export function filePath(path: string): string {
  return path.replace(/^\/+/, '').split('/').map(segment).join('/');
}
