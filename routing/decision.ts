/**
 * From what members said to the topology everything else goes by. Pure: the same input gives the same decision.
 */
import { decideAsync } from './async-decision.ts';
import { decideAurora } from './aurora-decision.ts';
import { tellClonesApart } from './clones.ts';
import { clusterIdentity, misfitOf } from './cluster-identity.ts';
import { decideGalera } from './galera-decision.ts';
import { decideGroup } from './group-decision.ts';
import { decideClusters } from './metadata/cluster-decision.ts';
import { effectiveOptions, NO_OPTIONS } from './metadata/facts.ts';
import { chooseMetadata, type Picture } from './metadata/picture.ts';
import { decideReplicaSet } from './metadata/replicaset-decision.ts';
import {
  type Decision,
  type DecisionInput,
  FAILURE_REASONS,
  type FailureKind,
  isHeard,
  type Observation,
  standingAnswer,
} from './observations.ts';
import { preferReads } from './reads.ts';
import { createRoster } from './roster.ts';
import { decideStatic } from './static-decision.ts';
import { passOverTerminating } from './terminating.ts';
import { EMPTY_TOPOLOGY } from './topology.ts';
import { unreachable } from './unreachable.ts';
import { withXListeners } from './x-listeners.ts';

export function decide(given: DecisionInput): Decision {
  const { input, alarms } = tellClonesApart(given);
  const decision = preferReads(input, decideRoles(input));
  const topology = passOverTerminating(decision.topology, input.settings.terminating);
  const offered = withXListeners(topology, input);
  return {
    ...decision,
    topology: alarms.length === 0 ? offered : { ...offered, alarms: [...offered.alarms, ...alarms] },
  };
}

function decideRoles(input: DecisionInput): Decision {
  if (input.settings.topology === 'static') return decideStatic(input);
  const picture = chooseMetadata(input);
  switch (picture.kind) {
    case 'facts':
      return withReachAlarm(
        input,
        picture.facts.kind === 'replicaset'
          ? decideReplicaSet(input, picture)
          : decideClusters(input, picture),
      );
    case 'waiting':
      // Roles that are known already are not given up for it.
      return input.previous.primary === null && !input.previous.hasQuorum
        ? decideNothing(input, [])
        : decideByRoles(input);
    case 'none':
      return withMetadataState(input, picture, decideByRoles(input));
    default:
      return unreachable(picture);
  }
}

/** Without metadata: by what members say of themselves and of each other. */
function decideByRoles(input: DecisionInput): Decision {
  const identity = clusterIdentity(input);
  switch (identity.kind) {
    case 'group':
      return withReachAlarm(input, decideGroup(input, identity.groupName));
    case 'galera':
      return withReachAlarm(input, decideGalera(input, identity.clusterUuid));
    case 'aurora':
      return withReachAlarm(input, decideAurora(input));
    case 'plain':
      return withReachAlarm(input, decideAsync(input));
    case 'waiting':
      return withReachAlarm(input, decideNothing(input, []));
    case 'misfit':
      return decideNothing(input, [
        `no seed is of cluster.topology ${input.settings.topology}; auto finds out what they are`,
      ]);
    case 'tie':
      return decideNothing(input, [`the seeds belong to different clusters: ${identity.names.join(', ')}`]);
    default:
      return unreachable(identity);
  }
}

/** Members by name only, and nothing is offered. Whoever was one stays one: doubt ends no session. */
function decideNothing(input: DecisionInput, alarms: readonly string[]): Decision {
  const members = createRoster(input, null).entries.map(({ id, address, observation, before }) => ({
    id,
    address,
    dial: observation?.dial ?? null,
    role: 'UNKNOWN' as const,
    state: 'UNKNOWN' as const,
    acceptsWrites: false,
    acceptsReads: false,
    primarySessions: 'keep' as const,
    secondarySessions: 'keep' as const,
    version: observation?.answer?.version ?? before?.version ?? '',
    reason: reasonOf(observation, input),
    slot: -1,
  }));
  const topology = { ...EMPTY_TOPOLOGY, members, alarms };
  const wanted = [...new Set([...input.settings.seeds, ...members.map(({ address }) => address)])];
  return { topology, wanted, isInDoubt: true, memory: input.memory };
}

function reasonOf(observation: Observation | undefined, input: DecisionInput): string {
  if (observation === undefined || !isHeard(observation)) return 'not heard of yet';
  if (observation.failure !== null) return FAILURE_REASONS[observation.failure.kind];
  return misfitOf(observation, input) || 'its group is not known yet';
}

/** Said once for the cluster, beside the reason each member has. */
function withReachAlarm(input: DecisionInput, decision: Decision): Decision {
  const { observations, nowMs, settings } = input;
  const isAnyAnswering = observations.some(
    (observation) => standingAnswer(observation, nowMs, settings.confirmationTtlMs) !== null,
  );
  if (isAnyAnswering || observations.length === 0 || !observations.every(isHeard)) return decision;
  const { topology } = decision;
  const cause = COMMON_CAUSES.find(({ kinds }) =>
    observations.every(({ failure }) => failure !== null && kinds.includes(failure.kind)),
  );
  const alarm = cause?.alarm ?? 'no member answers';
  return { ...decision, topology: { ...topology, alarms: [...topology.alarms, alarm] } };
}

/** Tells why the metadata does not count, where somebody wants it to. */
function withMetadataState(
  input: DecisionInput,
  { state, detail }: Extract<Picture, { readonly kind: 'none' }>,
  decision: Decision,
): Decision {
  const { topology: kind, metadata } = input.settings;
  const isWanted = kind === 'innodb-cluster' || kind === 'replicaset';
  if (detail === '' || (!isWanted && state === 'none')) return decision;
  const { topology } = decision;
  const how = topology.groupName === null ? 'who is writable' : 'Group Replication';
  return {
    ...decision,
    topology: {
      ...topology,
      alarms: isWanted
        ? [...topology.alarms, `the metadata does not count (${detail}): roles are known by ${how} alone`]
        : topology.alarms,
      cluster: {
        kind: 'unknown',
        state,
        detail,
        id: '',
        name: '',
        schemaVersion: '',
        viewId: null,
        clusters: [],
        options: effectiveOptions(metadata, NO_OPTIONS),
        unknownOptions: [],
      },
    },
  };
}

/** The servers are there: it is something else that somebody has to look at. */
const COMMON_CAUSES: readonly { readonly kinds: readonly FailureKind[]; readonly alarm: string }[] = [
  {
    kinds: ['access-denied', 'missing-grant'],
    alarm: 'no member can be asked: the monitoring account is not let in or lacks a grant',
  },
  { kinds: ['offline-mode'], alarm: 'every member is in offline mode' },
  {
    kinds: ['router-exhausted'],
    alarm: 'no member can be asked: this router is out of descriptors, ports or memory',
  },
];
