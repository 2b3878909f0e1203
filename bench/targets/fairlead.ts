import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { ACCOUNTS } from '../../src/sandbox/index.ts';
import { inheritedEnvironment } from '../../src/sandbox/run-command.ts';
import { type Bench, startProgram, type Target, waitUntilRouting } from '../bench.ts';

export type FairleadTarget = Target & { readonly readPort: number; readonly adminPort: number };

export type FairleadVariant = {
  /** Default 1. */
  readonly threads?: number;
  /** Default true. */
  readonly isTracking?: boolean;
  /** Default "auto". */
  readonly relayMode?: 'auto' | 'portable';
  /** Whether TLS ends at it on both sides, as a bootstrapped MySQL Router has it. Default false. */
  readonly endsTls?: boolean;
};

/** `fairlead run` on this checkout's sources, as an operator starts it, in a process of its own. */
export async function startFairlead(bench: Bench, variant: FairleadVariant = {}): Promise<FairleadTarget> {
  const { sandbox, cluster, profileDirectory } = bench;
  const [port = 0, readPort = 0, adminPort = 0] = await sandbox.reservePorts(3);
  const directory = await mkdtemp(join(sandbox.directory, 'fairlead-'));
  const configuration = join(directory, 'fairlead.yaml');
  await writeFile(
    configuration,
    stringify({
      cluster: { seeds: cluster.group.members.map((member) => member.address), ...ACCOUNTS.router },
      routes: [
        { name: 'rw', listen: `127.0.0.1:${port}`, role: 'primary' },
        { name: 'ro', listen: `127.0.0.1:${readPort}`, role: 'secondary' },
      ],
      tls: variant.endsTls === true ? { clientSslMode: 'preferred', serverSslMode: 'preferred' } : {},
      admin: { listen: `127.0.0.1:${adminPort}` },
      threads: variant.threads ?? 1,
      relay: { tracking: variant.isTracking ?? true, mode: variant.relayMode ?? 'auto' },
      drain: { delay: '0s', timeout: '1s' },
      log: { level: 'warn' },
    }),
  );
  const profiling =
    profileDirectory === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileDirectory}`];
  if (profileDirectory !== undefined) await mkdir(profileDirectory, { recursive: true });
  const program = await startProgram(sandbox, `fairlead-${port}`, {
    file: process.execPath,
    args: [...profiling, MAIN, 'run', '--config', configuration],
    env: inheritedEnvironment(),
  });
  await waitUntilRouting(cluster, program, port);
  return {
    port,
    readPort,
    adminPort,
    pid: program.pid,
    stop: async () => {
      program.signal('SIGTERM');
      await program.waitForExit(STOP_TIMEOUT_MS);
    },
  };
}

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');
const STOP_TIMEOUT_MS = 20_000;
