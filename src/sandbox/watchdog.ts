/**
 * Ends what a sandbox started, however the sandbox ends. A small shell holds the other end of a pipe to us; when the
 * pipe closes — because `close()` closed it, or because the kernel did after a crash or SIGKILL — it kills every
 * process that carries the sandbox's mark in its environment and removes the run directory. The mark is inherited,
 * so programs started by our programs are found too, and a reused process id is never mistaken for ours.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The folder of one sandbox's sockets, data and logs. While it exists, the ports reserved in its name are taken. */
export type RunDirectory = {
  readonly path: string;
  /** Must be in the environment of every process the sandbox starts. */
  readonly mark: Readonly<Record<string, string>>;
  /** Kills what is left, removes the folder, and returns when both are done. */
  close(): Promise<void>;
};

export async function createRunDirectory(): Promise<RunDirectory> {
  // A socket's path may have 107 bytes; a long TMPDIR leaves no room for ours.
  const parent = tmpdir().length <= 60 ? tmpdir() : '/tmp';
  const path = await mkdtemp(join(parent, 'fairlead-'));
  // In its own session: Ctrl-C in a terminal goes to us and not to the watchdog.
  const watchdog = spawn('sh', ['-c', WATCHDOG, 'fairlead-watchdog', path], {
    stdio: ['pipe', 'ignore', 'inherit'],
    detached: true,
    cwd: '/',
  });
  await once(watchdog, 'spawn');
  const exited = once(watchdog, 'close');
  letProcessEnd(watchdog);
  return {
    path,
    mark: { [MARK_NAME]: path },
    close: async () => {
      watchdog.ref();
      watchdog.stdin.end();
      await exited;
    },
  };
}

/** The watchdog is for those who end without closing: it must not be what keeps a finished program alive. */
function letProcessEnd(watchdog: ChildProcess): void {
  watchdog.unref();
  if (watchdog.stdin !== null && 'unref' in watchdog.stdin && typeof watchdog.stdin.unref === 'function') {
    watchdog.stdin.unref();
  }
}

const MARK_NAME = 'FAIRLEAD_SANDBOX';

// Two passes without a find: a process that was being started while the first pass looked is seen by the second.
const WATCHDOG = `
trap '' INT TERM HUP QUIT
cat >/dev/null
quiet=0
while [ "$quiet" -lt 2 ]; do
  found=0
  for file in $(grep -lsF "${MARK_NAME}=$1" /proc/[0-9]*/environ); do
    pid=\${file#/proc/}
    kill -9 "\${pid%/environ}" 2>/dev/null && found=1
  done
  if [ "$found" -eq 0 ]; then quiet=$((quiet + 1)); else quiet=0; fi
  sleep 0.05
done
rm -rf "$1"
`;
