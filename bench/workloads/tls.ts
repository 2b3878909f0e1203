/** Clients with TLS. HAProxy and Router PASSTHROUGH pass it through, as Fairlead does by default; the others end it. */
import { join } from 'node:path';
import { ACCOUNTS } from '../../src/sandbox/index.ts';
import { inheritedEnvironment, runCommand } from '../../src/sandbox/run-command.ts';
import type { Bench, Target } from '../bench.ts';
import { parseLoadOutput } from './load-program.ts';
import { CLIENTS } from './sysbench.ts';
import { type LoadResult, measureCpu, type Workload } from './workload.ts';

/** By mysqlslap: sysbench's library wants certificates it can verify, which routers make by themselves. */
export const TLS_QUERY: Workload = {
  name: 'tls-query',
  title: 'Point select over TLS',
  needsFreshTarget: false,
  variants: ['tls-ended'],
  usualRounds: 2,
  measures: [
    { name: 'cpuUs', title: 'CPU µs/query', better: 'less' },
    { name: 'perSecond', title: 'queries/s', better: 'more' },
  ],
  run: async (bench, target, { seconds }) => {
    const { result, cpu } = await measureCpu(target, () => runMysqlslap(bench, target, seconds));
    return { ...cpu, perSecond: result.operations / result.seconds };
  },
};
export const TLS_CONNECT = tlsWorkload('tls-connect', 'Connect with TLS, query, close', 'connect');
export const TLS_RESUME = tlsWorkload('tls-resume', 'Connect with resumed TLS, query, close', 'resume');

function tlsWorkload(name: string, title: string, mode: 'connect' | 'resume'): Workload {
  return {
    name,
    title,
    needsFreshTarget: false,
    variants: ['tls-ended'],
    usualRounds: 3,
    measures: [
      { name: 'cpuUs', title: 'CPU µs/connect', better: 'less' },
      { name: 'perSecond', title: 'connects/s', better: 'more' },
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

async function runMysqlslap({ sandbox }: Bench, { port }: Target, seconds: number): Promise<LoadResult> {
  const { user, password } = ACCOUNTS.app;
  const operations = CLIENTS * Math.ceil((seconds * USUAL_RATE) / CLIENTS);
  const flags = [
    ...['--no-defaults', '--host=127.0.0.1', `--port=${port}`, '--ssl-mode=REQUIRED'],
    ...[`--user=${user}`, `--password=${password}`, '--create-schema=sbtest', '--no-drop', '--csv'],
    ...[`--concurrency=${CLIENTS}`, `--number-of-queries=${operations}`],
    '--query=SELECT c FROM sbtest1 WHERE id=4711',
  ];
  const { stdout } = await sandbox.run('mysql', 'mysqlslap', flags, { timeoutMs: (seconds + 60) * 1000 });
  // The fields: engine, kind of load, average seconds, …
  const took = Number(stdout.trim().split(',')[2]);
  if (!(took > 0)) throw new Error(`mysqlslap says ${stdout}`);
  return { operations, seconds: took };
}

const LOAD = join(import.meta.dirname, '..', 'load', 'tls-load.ts');
/** Queries a second: it is told how many to send, not how long. */
const USUAL_RATE = 6000;
