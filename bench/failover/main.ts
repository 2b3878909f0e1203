/**
 * `npm run bench:failover`: what clients of Fairlead, of MySQL Router as bootstrapped, and of HAProxy with checks see when
 * members die, hang, are cut off and come back. Needs the right to make network namespaces.
 */
import {
  isInOwnNetwork,
  missingNetwork,
  missingParts,
  runCommand,
  startAgainInOwnNetwork,
} from '../../src/sandbox/index.ts';
import { inheritedEnvironment } from '../../src/sandbox/run-command.ts';
import { describeMachine } from '../machine.ts';
import { EVENTS } from './events.ts';
import { type FailoverOptions, parseOptions, USAGE } from './options.ts';
import { playEvent } from './play.ts';
import { type EventResult, mergeResult } from './result.ts';
import { setStage } from './stage.ts';
import { renderTable } from './table.ts';

const options = parseOptions(process.argv.slice(2));
if (options === 'help') process.stdout.write(USAGE);
else if (isInOwnNetwork()) process.exitCode = await bench(options);
else process.exitCode = await startInside();

/** What is missing is fetched before: inside there is no way out. */
async function startInside(): Promise<number> {
  const missing = (await missingParts('mysql', 'mysql-router', 'haproxy')) || (await missingNetwork());
  if (missing !== false) throw new Error(missing);
  report('building Fairlead');
  await runCommand({ file: 'npm', args: ['run', 'build'], env: inheritedEnvironment() });
  return startAgainInOwnNetwork();
}

async function bench(options: FailoverOptions): Promise<number> {
  const machine = await describeMachine();
  const stage = await setStage(options.proxies, report);
  const events: EventResult[] = [];
  try {
    for (const event of options.events) {
      report(event.title);
      events.push(await playEvent(stage, event));
      // After each event: a run that is broken off leaves what it has.
      await mergeResult(
        options.resultPath,
        { machine, events },
        EVENTS.map(({ name }) => name),
      );
      process.stdout.write(`${renderTable(events.slice(-1))}\n`);
    }
    process.stdout.write(`\n${renderTable(events)}\n`);
  } finally {
    await stage.sandbox.close();
  }
  const isFairleadWrong = events.some(({ figures }) =>
    figures.some(({ proxy, lost, overlapping }) => proxy === 'fairlead' && lost + overlapping > 0),
  );
  return isFairleadWrong ? 1 : 0;
}

function report(what: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${what}\n`);
}
