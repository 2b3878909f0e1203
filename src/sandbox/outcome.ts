/** What a real part can be: had, or not to be had here with the reason a skipped test prints. */
export type Availability<T> =
  | { readonly kind: 'available'; readonly value: T }
  | { readonly kind: 'unavailable'; readonly reason: string };

/** A real part was asked for that this machine cannot provide; `message` is the reason. */
export class UnavailableError extends Error {
  override readonly name = 'UnavailableError';
}

/** Something the sandbox started, or was about to start, did not do what was asked of it. */
export class SandboxError extends Error {
  override readonly name = 'SandboxError';
}

/** Where the sandbox tells its progress, one line at a time. */
export type SandboxLog = (message: string) => void;

export { messageOf } from '../shared/message-of.ts';

/** The `code` Node puts on system errors ("ENOENT"), or `undefined` for any other thrown value. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
