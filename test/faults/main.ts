/**
 * `npm run campaign:faults`: one fault after the other to a group of three and its router, under clients of all kinds, and
 * what each did to them. Exit code 0 when nothing was lost, hung or leaked.
 */
import { parseArgs } from 'node:util';
import { runInOwnNetwork, say, sayWithTime, withScope } from '../support/console-scope.ts';
import { startNetworkGroup } from '../support/network-group.ts';
import { BOOTSTRAP_FAULTS } from './bootstrap-faults.ts';
import { CLIENT_FAULTS } from './client-faults.ts';
import { GROUP_FAULTS } from './group-faults.ts';
import { MEMBER_FAULTS } from './member-faults.ts';
import { NETWORK_FAULTS } from './network-faults.ts';
import { PRESSURE_FAULTS } from './pressure-faults.ts';
import { ROLE_FAULTS } from './role-faults.ts';
import { playFault, type Verdict } from './stage.ts';

const FAULTS = {
  ...GROUP_FAULTS,
  ...CLIENT_FAULTS,
  ...MEMBER_FAULTS,
  ...NETWORK_FAULTS,
  ...ROLE_FAULTS,
  ...PRESSURE_FAULTS,
  ...BOOTSTRAP_FAULTS,
};
const USAGE = `npm run campaign:faults -- [options]
  --faults a,b    of ${Object.keys(FAULTS).join(', ')}; default all
`;

const { values } = parseArgs({
  options: {
    faults: { type: 'string', default: Object.keys(FAULTS).join(',') },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) say(USAGE);
else process.exitCode = await runInOwnNetwork(campaign, ['mysql']);

async function campaign(): Promise<number> {
  const verdicts: Verdict[] = [];
  await withScope(async (scope) => {
    const stage = await startNetworkGroup(scope);
    for (const name of values.faults.split(',')) {
      const fault = FAULTS[name];
      if (fault === undefined)
        throw new Error(`--faults ${name}: there are ${Object.keys(FAULTS).join(', ')}`);
      verdicts.push(await playFault(scope, stage, name, fault));
    }
  }, sayWithTime);
  const bad = verdicts.filter(({ faults }) => faults.length > 0);
  for (const { name, faults } of bad) say(`${name}: ${faults.join('; ')}`);
  say(`${verdicts.length} faults, ${bad.length} of them not survived`);
  return bad.length === 0 ? 0 : 1;
}
