/** What the status page shows of an InnoDB Cluster, ClusterSet or ReplicaSet: what its metadata says, and to what effect. */
import type { ClusterFacts, Member, Topology } from '../../../routing/topology.ts';
import { type Html, html } from './html.ts';

/** Nothing where there is no metadata to speak of. */
export function clusterSection({ cluster }: Topology): Html {
  if (cluster === undefined) return html``;
  const state = cluster.state === 'ok' ? '' : ` · metadata ${cluster.state}: ${cluster.detail}`;
  if (cluster.kind === 'unknown')
    return html`<section><h2>Metadata</h2><p class="empty">${cluster.detail}</p></section>`;
  return html`<section><h2>${HEADINGS[cluster.kind]} ${cluster.name}</h2>
<p class="facts">${factsOf(cluster)}${state}</p>
${cluster.kind === 'clusterset' ? clusterTable(cluster) : html``}</section>`;
}

/** What the metadata says of one member, in a few words; empty where it says nothing. */
export function memberNotes({ metadata }: Member): string {
  if (metadata === undefined) return '';
  const tags = Object.entries(metadata.tags)
    .slice(0, MAX_TAGS)
    .map(([name, value]) => `${name}=${shown(value)}`);
  return [
    metadata.kind === 'read-replica' ? 'read replica' : '',
    metadata.clusterRole === 'REPLICA' ? `in replica cluster ${metadata.clusterName}` : '',
    ...tags,
  ]
    .filter((note) => note !== '')
    .join(', ');
}

function factsOf(cluster: ClusterFacts): string {
  const { options, schemaVersion, viewId, unknownOptions } = cluster;
  return [
    `schema ${schemaVersion}`,
    viewId === null ? '' : `view ${viewId}`,
    cluster.kind === 'clusterset' ? `target ${options.targetCluster}` : '',
    `reads from ${options.readOnlyTargets}`,
    unknownOptions.length === 0 ? '' : `not understood: ${unknownOptions.join(', ')}`,
  ]
    .filter((fact) => fact !== '')
    .join(' · ');
}

function clusterTable({ clusters }: ClusterFacts): Html {
  return html`<table>
<thead><tr><th>Cluster</th><th>Role</th><th>Group</th><th>Sessions go there</th></tr></thead>
<tbody>
${clusters.map(
  ({ name, role, isInvalidated, groupName, isTarget }) => html`<tr>
<th scope="row">${name}</th>
<td data-heading="Role">${isInvalidated ? 'INVALIDATED' : (role ?? '')}</td>
<td data-heading="Group">${groupName}</td>
<td data-heading="Sessions go there">${isTarget ? 'yes' : 'no'}</td>
</tr>
`,
)}</tbody></table>`;
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length <= MAX_TAG_LENGTH ? text : `${text.slice(0, MAX_TAG_LENGTH)}…`;
}

const HEADINGS = {
  cluster: 'InnoDB Cluster',
  clusterset: 'ClusterSet',
  replicaset: 'ReplicaSet',
} as const satisfies Readonly<Record<Exclude<ClusterFacts['kind'], 'unknown'>, string>>;
const MAX_TAGS = 8;
const MAX_TAG_LENGTH = 40;
