/**
 * `npm run consistency`: random faults under clients that set and append, and afterwards the question whether what they
 * were told could have come from one server that never failed. Exit code 0 when it could, 1 when not.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runInOwnNetwork, say, sayWithTime, withScope } from '../support/console-scope.ts';
import { runCampaign } from './campaign.ts';
import { FAULTS, isFaultName } from './faults.ts';

const USAGE = `npm run consistency -- [options]
  --seed n        which faults, in which order, and what clients do; default a random one, which is printed
  --minutes n     no fault is begun after that time; default 5
  --faults a,b    of ${Object.keys(FAULTS).join(', ')}; default all
  --clients n     default 6
  --history file  where the history is written if it is found wrong; default .cache/consistency/seed-N.json
`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e6)) },
    minutes: { type: 'string', default: '5' },
    faults: { type: 'string', default: Object.keys(FAULTS).join(',') },
    clients: { type: 'string', default: '6' },
    history: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) say(USAGE);
else process.exitCode = await runInOwnNetwork(campaign, ['mysql'], [`--seed=${values.seed}`]);

async function campaign(): Promise<number> {
  const faults = values.faults.split(',').map((name) => {
    if (isFaultName(name)) return name;
    throw new Error(`--faults ${name}: there are ${Object.keys(FAULTS).join(', ')}`);
  });
  return withScope(async (scope) => {
    scope.comment(`seed ${values.seed}`);
    const seconds = parseNumber('minutes', values.minutes) * 60;
    const clients = parseNumber('clients', values.clients);
    const seed = parseNumber('seed', values.seed);
    const { histories, inflicted, anomalies } = await runCampaign(scope, { seed, seconds, faults, clients });
    for (const { kind, key, detail } of anomalies.slice(0, 20)) say(`${kind}: ${key}: ${detail}`);
    if (anomalies.length === 0) {
      say(`consistent: ${inflicted.length} faults, nothing lost, repeated, reordered or stale`);
      return 0;
    }
    const file = values.history ?? join(CACHE, `seed-${seed}.json`);
    await mkdir(CACHE, { recursive: true });
    await writeFile(file, JSON.stringify(histories));
    say(`NOT CONSISTENT: ${anomalies.length} anomalies; the history is in ${file}`);
    return 1;
  }, sayWithTime);
}

function parseNumber(name: string, text: string): number {
  const value = Number(text);
  if (!(value >= 0)) throw new Error(`--${name} ${text}: must be a number from 0`);
  return value;
}

const CACHE = join(import.meta.dirname, '..', '..', '.cache', 'consistency');
