/**
 * `npm run campaign:faults`: one fault after the other to a cluster of three and its router, under clients of all kinds, and
 * what each did to them. Exit code 0 when nothing was lost, hung or leaked.
 */
import { parseArgs } from 'node:util';
import { runInOwnNetwork, say, sayWithTime, withScope } from '../support/console-scope.ts';
import { type NetworkGroup, startNetworkGroup } from '../support/network-group.ts';
import type { Scope } from '../support/scope.ts';
import { ASYNC_FAULTS, startAsyncStage } from './async-faults.ts';
import { BOOTSTRAP_FAULTS } from './bootstrap-faults.ts';
import { CLIENT_FAULTS } from './client-faults.ts';
import { GALERA_FAULTS, startGaleraStage } from './galera-faults.ts';
import { GROUP_FAULTS } from './group-faults.ts';
import { MEMBER_FAULTS } from './member-faults.ts';
import { NAME_FAULTS, startNameStage } from './name-faults.ts';
import { NETWORK_FAULTS } from './network-faults.ts';
import { PRESSURE_FAULTS } from './pressure-faults.ts';
import { ROLE_FAULTS } from './role-faults.ts';
import { type Fault, playFault, type Verdict, type Watched } from './stage.ts';
import { whyUnfitInGroup } from './unfit-members.ts';

const IN_GROUP = {
  ...GROUP_FAULTS,
  ...CLIENT_FAULTS,
  ...MEMBER_FAULTS,
  ...NETWORK_FAULTS,
  ...ROLE_FAULTS,
  ...PRESSURE_FAULTS,
  ...BOOTSTRAP_FAULTS,
};
const USAGE = `npm run campaign:faults -- [options]
  --cluster kind  group (default), names (a group that is known by them), galera or async
  --faults a,b    default all; of the group ${Object.keys(IN_GROUP).join(', ')};
                  of names ${Object.keys(NAME_FAULTS).join(', ')};
                  of galera ${Object.keys(GALERA_FAULTS).join(', ')};
                  of async ${Object.keys(ASYNC_FAULTS).join(', ')}
`;

const { values } = parseArgs({
  options: {
    cluster: { type: 'string', default: 'group' },
    faults: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) say(USAGE);
else process.exitCode = await startCampaign();

function startCampaign(): Promise<number> {
  switch (values.cluster) {
    case 'group':
      return runInOwnNetwork(() => campaign(IN_GROUP, startGroupStage), ['mysql']);
    case 'names':
      return runInOwnNetwork(() => campaign(NAME_FAULTS, startNamedStage), ['mysql']);
    case 'galera':
      return campaign(GALERA_FAULTS, async (scope) => alone(await startGaleraStage(scope)));
    case 'async':
      return campaign(ASYNC_FAULTS, async (scope) => alone(await startAsyncStage(scope)));
    default:
      throw new Error(`--cluster ${values.cluster}: there are group, names, galera, async`);
  }
}

type Stage<S> = { readonly stage: S; readonly watched: Watched };

function alone<S extends Watched>(stage: S): Stage<S> {
  return { stage, watched: stage };
}

async function startGroupStage(scope: Scope) {
  const stage = await startNetworkGroup(scope);
  return { stage, watched: watchedIn(stage) };
}

async function startNamedStage(scope: Scope) {
  const stage = await startNameStage(scope);
  return { stage, watched: watchedIn(stage.network) };
}

function watchedIn({ group, router }: NetworkGroup): Watched {
  return { router, members: group.members, writer: () => group.primary(), whyUnfit: whyUnfitInGroup };
}

async function campaign<S>(
  known: Readonly<Record<string, Fault<S>>>,
  start: (scope: Scope) => Promise<Stage<S>>,
): Promise<number> {
  const verdicts: Verdict[] = [];
  const names = values.faults?.split(',') ?? Object.keys(known);
  const unknown = names.filter((name) => known[name] === undefined);
  if (unknown.length > 0)
    throw new Error(`--faults ${unknown.join(',')}: there are ${Object.keys(known).join(', ')}`);
  await withScope(async (scope) => {
    const { stage, watched } = await start(scope);
    for (const name of names) {
      const fault = known[name];
      if (fault === undefined) continue;
      verdicts.push(await playFault(scope, watched, name, (note, forgo) => fault(stage, note, forgo)));
    }
  }, sayWithTime);
  const bad = verdicts.filter(({ faults }) => faults.length > 0);
  for (const { name, faults } of bad) say(`${name}: ${faults.join('; ')}`);
  say(`${verdicts.length} faults, ${bad.length} of them not survived`);
  return bad.length === 0 ? 0 : 1;
}
