/**
 * How commands ask the admin server of a running router, and what they say when that does not work.
 */
import { z } from 'zod';
import { messageOf } from '../shared/message-of.ts';

export async function fetchText(url: URL): Promise<{ readonly status: number; readonly body: string }> {
  const response = await fetch(url, { signal: AbortSignal.timeout(DEADLINE_MS), redirect: 'error' });
  return { status: response.status, body: await response.text() };
}

export function describeFailure(admin: URL, error: unknown): string {
  const at = admin.href.replace(/\/$/, '');
  if (error instanceof SyntaxError || error instanceof z.ZodError) {
    return `what answers at ${at} is not the admin server of a Fairlead this command knows`;
  }
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return `${at} accepts connections but does not answer within ${DEADLINE_MS / 1000} s`;
  }
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const reason = messageOf(cause);
  return `nothing answers at ${at}: ${reason}\nIs the router running there? Its address is the key admin.listen; --admin names another one.`;
}

/** The admin server answers within a second; the rest is for the network. */
const DEADLINE_MS = 3_000;
