/** Clients with TLS. HAProxy and Router PASSTHROUGH pass it through, as Fairlead does by default; the others end it. */
import { join } from 'node:path';
import { ACCOUNTS } from '../../src/sandbox/index.ts';
import { inheritedEnvironment, runCommand } from '../../src/sandbox/run-command.ts';
import { parseLoadOutput } from './load-program.ts';
import { CLIENTS } from './sysbench.ts';
import { measureCpu, type Workload } from './workload.ts';

export const TLS_QUERY = tlsWorkload('tls-query', 'Point select over TLS', 'query');
export const TLS_CONNECT = tlsWorkload('tls-connect', 'Connect with TLS, query, close', 'connect');
export const TLS_RESUME = tlsWorkload('tls-resume', 'Connect with resumed TLS, query, close', 'resume');

function tlsWorkload(name: string, title: string, mode: 'query' | 'connect' | 'resume'): Workload {
  const operation = mode === 'query' ? 'query' : 'connect';
  return {
    name,
    title,
    needsFreshTarget: false,
    isForVariants: true,
    maxRounds: Number.POSITIVE_INFINITY,
    measures: [
      { name: 'cpuUs', title: `CPU µs/${operation}`, better: 'less' },
      { name: 'perSecond', title: mode === 'query' ? 'queries/s' : 'connects/s', better: 'more' },
      { name: 'p50Us', title: 'p50 µs', better: 'less' },
    ],
    run: async (_bench, target, { seconds }) => {
      const { user, password } = ACCOUNTS.app;
      const command = {
        file: process.execPath,
        args: [LOAD, mode, String(target.port), String(CLIENTS), String(seconds)],
        env: inheritedEnvironment({ LOAD_USER: user, LOAD_PASSWORD: password, LOAD_SCHEMA: 'sbtest' }),
      };
      const { result, cpu } = await measureCpu(target, async () => {
        const { stdout } = await runCommand(command, { timeoutMs: (seconds + 60) * 1000 });
        return parseLoadOutput(stdout);
      });
      return { ...cpu, perSecond: result.operations / result.seconds, p50Us: result.p50Us };
    },
  };
}

const LOAD = join(import.meta.dirname, '..', 'load', 'tls-load.ts');
