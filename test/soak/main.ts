/**
 * `npm run soak`: every kind of client at once for as long as asked. Exit code 0 when each answer was right and nothing
 * was left behind.
 */
import { parseArgs } from 'node:util';
import { say, withScope } from '../support/console-scope.ts';
import { runSoak } from './soak.ts';

const USAGE = `npm run soak -- [options]
  --minutes n   default 30
  --clients n   of each kind, default 4
`;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    clients: { type: 'string', default: '4' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) say(USAGE);
else
  process.exitCode = await soak(
    numberOf('minutes', values.minutes) * 60,
    numberOf('clients', values.clients),
  );

async function soak(seconds: number, clientsOfEachKind: number): Promise<number> {
  return withScope(async (scope) => {
    const found = await runSoak(scope, { seconds, clientsOfEachKind });
    say(`${found.turns} turns in ${seconds} s`);
    for (const [error, times] of found.errors) say(`WRONG ${times} times: ${error}`);
    for (const left of found.leftBehind) say(`LEFT BEHIND: ${left}`);
    for (const line of found.complaints) say(`LOG: ${line}`);
    const { residentKib, descriptors } = found;
    say(`resident memory ${residentKib.warm} KiB once warm, ${residentKib.end} KiB at the end`);
    say(`file descriptors ${descriptors.before} once warm, ${descriptors.end} at the end`);
    const isWell = found.errors.size === 0 && found.leftBehind.length === 0 && found.complaints.length === 0;
    return isWell ? 0 : 1;
  });
}

function numberOf(name: string, text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new Error(`--${name} ${text}: must be a number above 0`);
}
