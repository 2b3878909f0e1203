/**
 * Looks whether the file with the monitoring account's password has changed: Kubernetes renews the files of a Secret under
 * a running pod, and nobody sends it a signal.
 */
import { readPassword } from '../config/load.ts';
import type { EventLog } from '../shared/events.ts';

export type PasswordWatch = {
  /** Another file, or none; and what it held when it was read. */
  follow(path: string | null, password: string): void;
  close(): void;
};

/** `onChange` is called with every password that replaces another. A file that cannot be used changes nothing. */
export function createPasswordWatch(
  events: EventLog,
  onChange: (password: string) => void,
  intervalMs: number = INTERVAL_MS,
): PasswordWatch {
  let followed: { readonly path: string; readonly password: string } | null = null;
  let lastProblem = '';
  let isReading = false;

  const look = async () => {
    const before = followed;
    if (before === null || isReading) return;
    isReading = true;
    const read = await readPassword(before.path);
    isReading = false;
    // A reload was faster, and has read it itself.
    if (followed !== before) return;
    if (!read.ok) {
      if (read.reason !== lastProblem) {
        const text = `The password in force stays: ${before.path} cannot be used: ${read.reason}`;
        events.record('warn', 'password_file_unusable', text, { file: before.path });
      }
      lastProblem = read.reason;
      return;
    }
    lastProblem = '';
    if (read.text === before.password) return;
    followed = { path: before.path, password: read.text };
    const text = `The password of the monitoring account was read again from ${before.path}`;
    events.record('info', 'password_reloaded', text, { file: before.path });
    onChange(read.text);
  };

  const timer = setInterval(() => void look(), intervalMs);
  timer.unref();
  return {
    follow: (path, password) => {
      followed = path === null ? null : { path, password };
    },
    close: () => clearInterval(timer),
  };
}

/** Kubernetes itself takes up to a minute to renew the file. */
const INTERVAL_MS = 5000;
