/** Copies of metadata, written as short as they are read, and what members say beside them. */
import {
  type MetadataFacts,
  type MetadataInstance,
  type MetadataReading,
  type MetadataState,
  NO_OPTIONS,
  type RouterOptions,
  type Tags,
} from '../../../routing/metadata/facts.ts';
import type { Observation } from '../../../routing/observations.ts';
import { NOW } from '../group.ts';

export type CopyFacts = {
  readonly options?: Partial<RouterOptions>;
  readonly tags?: Readonly<Record<string, Tags>>;
  readonly readReplicas?: string;
  readonly endpoints?: Readonly<Record<string, string>>;
};

/** A cluster of its own whose group is `group`, with the members named by single letters. */
export function clusterOf(names: string, facts: CopyFacts = {}): MetadataFacts {
  return {
    kind: 'cluster',
    schemaVersion: '2.4.0',
    clusterId: 'cluster-1',
    clusterSet: null,
    clusters: [
      { id: 'cluster-1', name: 'mycluster', groupName: 'group', role: 'PRIMARY', isInvalidated: false },
    ],
    instances: [
      ...[...names].map((name) => instanceOf(name, 'cluster-1', facts)),
      ...[...(facts.readReplicas ?? '')].map((name) => instanceOf(name, 'cluster-1', facts, 'read-replica')),
    ],
    viewId: null,
    options: { ...NO_OPTIONS, ...facts.options },
  };
}

/**
 * A ClusterSet as the copy of a member of `own` has it. `roles` names each cluster by its group with its members and its
 * role, P, R or - (invalidated), as in "north:ab:P south:cd:R".
 */
export function setOf(own: string, viewId: number, roles: string, facts: CopyFacts = {}): MetadataFacts {
  const parts = roles.split(' ').map((text) => text.split(':'));
  return {
    kind: 'cluster',
    schemaVersion: '2.2.0',
    clusterId: own,
    clusterSet: { id: 'set', name: 'world', viewId },
    clusters: parts.map(([name = '', , role]) => ({
      id: name,
      name,
      groupName: `group-${name}`,
      role: role === 'P' ? 'PRIMARY' : role === 'R' ? 'REPLICA' : null,
      isInvalidated: role === '-',
    })),
    instances: parts.flatMap(([cluster = '', names = '']) =>
      [...names].map((name) => instanceOf(name, cluster, facts)),
    ),
    viewId: null,
    options: { ...NO_OPTIONS, ...facts.options },
  };
}

/** A ReplicaSet's copy: name and role, P, S or - (left out), as in "aP bS c-". */
export function replicaSetOf(viewId: number, roles: string, facts: CopyFacts = {}): MetadataFacts {
  return {
    kind: 'replicaset',
    schemaVersion: '2.0.0',
    clusterId: 'replicaset-1',
    clusterSet: null,
    clusters: [
      { id: 'replicaset-1', name: 'myreplicas', groupName: '', role: 'PRIMARY', isInvalidated: false },
    ],
    instances: roles.split(' ').map((word) => ({
      ...instanceOf(word.charAt(0), 'replicaset-1', facts),
      role: word.charAt(1) === 'P' ? 'PRIMARY' : word.charAt(1) === 'S' ? 'SECONDARY' : null,
    })),
    viewId,
    options: { ...NO_OPTIONS, ...facts.options },
  };
}

export function instanceOf(
  name: string,
  clusterId: string,
  facts: CopyFacts = {},
  kind: MetadataInstance['kind'] = 'member',
): MetadataInstance {
  return {
    id: `uuid-${name}`,
    clusterId,
    endpoint: facts.endpoints?.[name] ?? `${name}:3306`,
    xEndpoint: `${name}:33060`,
    label: name,
    kind,
    role: null,
    tags: facts.tags?.[name] ?? {},
  };
}

/** `observation` with a copy that was read just now. */
export function holding(
  observation: Observation,
  facts: MetadataFacts | null,
  state: MetadataState = facts === null ? 'none' : 'ok',
): Observation {
  const metadata: MetadataReading = {
    state,
    detail: state === 'ok' ? '' : `it is ${state}`,
    atMs: NOW - 5,
    facts,
  };
  return { ...observation, metadata };
}
