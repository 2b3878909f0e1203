/**
 * The cluster as a whole, as the router sees it.
 */
import type { Topology } from '../../../routing/topology.ts';
import type { AdminSources } from '../sources.ts';
import { type Family, NO_LABELS } from './family.ts';

export function topologyFamilies(sources: AdminSources): readonly Family[] {
  const gauge = (name: string, help: string, value: (topology: Topology) => number): Family => ({
    kind: 'gauge',
    name,
    help,
    labelNames: [],
    collect: (write) => write(NO_LABELS, value(sources.topology())),
  });

  return [
    {
      kind: 'gauge',
      name: 'fairlead_topology_info',
      help: 'Always 1; the labels carry the mode and the name of the group, empty while unknown.',
      labelNames: ['mode', 'group_name'],
      collect(write) {
        const { mode, groupName } = sources.topology();
        write({ mode, group_name: groupName ?? '' }, 1);
      },
    },
    gauge(
      'fairlead_topology_version',
      'Rises by one with every published change; 0 before the first decision.',
      (topology) => topology.version,
    ),
    gauge('fairlead_topology_members', 'Members in the topology.', (topology) => topology.members.length),
    gauge(
      'fairlead_topology_has_quorum',
      '1 while some member is ONLINE in a view that has quorum.',
      (topology) => (topology.hasQuorum ? 1 : 0),
    ),
    gauge('fairlead_topology_has_primary', '1 while writes can be sent somewhere.', (topology) =>
      topology.primary === null ? 0 : 1,
    ),
    gauge(
      'fairlead_topology_conflicting_primaries',
      '1 while more than one member claims to be primary although the group is not multi-primary.',
      (topology) => (topology.isContested === true ? 1 : 0),
    ),
    gauge(
      'fairlead_topology_alarms',
      'Conditions an operator must hear of; the status page says which.',
      (topology) => topology.alarms.length,
    ),
    {
      kind: 'gauge',
      name: 'fairlead_metadata_readable',
      help: '1 while the metadata of the InnoDB Cluster, ClusterSet or ReplicaSet can be read; missing where there is none to be expected.',
      labelNames: ['kind', 'name'],
      collect(write) {
        const { cluster } = sources.topology();
        if (cluster === undefined) return;
        write({ kind: cluster.kind, name: cluster.name }, cluster.state === 'ok' ? 1 : 0);
      },
    },
    {
      kind: 'gauge',
      name: 'fairlead_metadata_view',
      help: 'Number of the view of a ClusterSet or ReplicaSet that the router goes by; rises with each change of roles.',
      labelNames: [],
      collect(write) {
        const viewId = sources.topology().cluster?.viewId ?? null;
        if (viewId !== null) write(NO_LABELS, viewId);
      },
    },
  ];
}
