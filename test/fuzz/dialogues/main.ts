/** `npm run fuzz:servers`: random dialogues with real servers, directly and through the router at the same time. */
import { parseArgs } from 'node:util';
import { say, withScope } from '../../support/console-scope.ts';
import { runDialogues } from './campaign.ts';
import type { ServerKind } from './dialogue.ts';

const KINDS = ['mysql', 'mariadb'] as const;
const USAGE = `npm run fuzz:servers -- [options]
  --seconds n    default 60
  --seed n       of the first dialogue; each next one has the next; default a random one
  --only a,b     plays these alone
  --server kind  mysql, mariadb or both, the default
`;

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: String(1 + (Date.now() % 1_000_000)) },
    only: { type: 'string' },
    server: { type: 'string', default: 'both' },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) say(USAGE);
else
  process.exitCode = await withScope(async (scope) => {
    const kinds: readonly ServerKind[] = KINDS.filter(
      (kind) => values.server === 'both' || values.server === kind,
    );
    const { only } = values;
    const options = {
      seconds: Number(values.seconds),
      seed: Number(values.seed),
      ...(only === undefined ? {} : { only: only.split(',').map(Number) }),
    };
    const results = await Promise.all(kinds.map((kind) => runDialogues(scope, { ...options, kind })));
    for (const [index, result] of results.entries()) {
      const { dialogues, turns, commands, bytes, refusedLogins } = result;
      say(
        `${kinds[index]}, seed ${values.seed}: ${dialogues} dialogues (${refusedLogins} logins refused), ${turns} turns, ${commands} commands, ${bytes} bytes`,
      );
      for (const [what, times] of result.opaque) say(`  ${times} times ${what}`);
      for (const [kind, { times, first }] of result.findings)
        say(`\nFOUND ${times} times: ${kind}: ${first}`);
    }
    return results.every(({ findings }) => findings.size === 0) ? 0 : 1;
  });
