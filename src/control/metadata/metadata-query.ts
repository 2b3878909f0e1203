/**
 * Reads a member's copy of the metadata: its public views only, in three round trips, with bounded rows and time.
 *
 * The roles of a ClusterSet, and those of a ReplicaSet, come out of one statement together with the id of the view they
 * belong to, so that they cannot be of two times. For the rest a copy that is caught in the middle of a change is put
 * right by the next reading.
 */
import type {
  ClusterSetFacts,
  MetadataCluster,
  MetadataFacts,
  MetadataInstance,
} from '../../../routing/metadata/facts.ts';
import {
  isRecord,
  parseJson,
  parseRouterOptions,
  parseTags,
} from '../../../routing/metadata/router-options.ts';

/** Runs one statement. */
export type RunQuery = (sql: string, values?: readonly string[]) => Promise<unknown>;

export type MetadataOutcome =
  | { readonly kind: 'facts'; readonly facts: MetadataFacts }
  | { readonly kind: 'upgrading' | 'unsupported' | 'not-listed'; readonly detail: string };

export type SchemaVersion = { readonly major: number; readonly minor: number; readonly patch: number };

/** @throws whatever `query` throws; ER_NO_SUCH_TABLE where there is no metadata */
export async function querySchemaVersion(query: RunQuery): Promise<SchemaVersion> {
  const [row] = rowsIn(await query(VERSION_QUERY));
  return { major: numberIn(row, 'major'), minor: numberIn(row, 'minor'), patch: numberIn(row, 'patch') };
}

/**
 * @param wanted `routerLabel` is "address::name" of this router's row in `v2_routers`, for the options meant for it alone
 * @throws whatever `query` throws
 */
export async function queryMetadata(
  query: RunQuery,
  { major, minor, patch }: SchemaVersion,
  wanted: Pick<Copy, 'routerLabel' | 'readsGuideline'>,
): Promise<MetadataOutcome> {
  const schemaVersion = `${major}.${minor}.${patch}`;
  if (major === 0 && minor === 0) {
    return { kind: 'upgrading', detail: 'the metadata schema is being upgraded' };
  }
  if (major !== SUPPORTED_MAJOR) {
    const detail = `the metadata schema has version ${schemaVersion}; ${SUPPORTED_MAJOR}.x is understood`;
    return { kind: 'unsupported', detail };
  }
  const [own] = rowsIn(await query(THIS_INSTANCE_QUERY));
  if (own === undefined) {
    return { kind: 'not-listed', detail: 'the metadata does not list the server it lies on' };
  }
  const copy = { query, schemaVersion, minor, clusterId: textIn(own, 'clusterId'), ...wanted };
  const facts = textIn(own, 'clusterType') === 'ar' ? await readReplicaSet(copy) : await readClusters(copy);
  return { kind: 'facts', facts };
}

type Copy = {
  readonly query: RunQuery;
  readonly schemaVersion: string;
  readonly minor: number;
  readonly clusterId: string;
  readonly routerLabel: string;
  readonly readsGuideline: boolean;
};

async function readClusters(copy: Copy): Promise<MetadataFacts> {
  const { query, minor, clusterId } = copy;
  const rows = rowsIn(await query(minor >= 1 ? CLUSTERS_QUERY : CLUSTERS_QUERY_2_0));
  const own = rows.find((row) => textIn(row, 'clusterId') === clusterId);
  const clusterSet = own === undefined ? null : clusterSetIn(own);
  const inSet = rows.filter((row) =>
    clusterSet === null
      ? textIn(row, 'clusterId') === clusterId
      : textIn(row, 'clusterSetId') === clusterSet.id,
  );
  const clusters = inSet.map((row) => clusterIn(row, clusterSet !== null));
  const ids = new Set(clusters.map(({ id }) => id));
  const instances = rowsIn(await query(INSTANCES_QUERY)).map(instanceIn);
  const options = parseRouterOptions([
    // In a set only its own count: whose cluster is asked must not matter.
    jsonIn(own, clusterSet === null ? 'clusterOptions' : 'setOptions'),
    ...(await optionsOfRouter(copy, clusterSet !== null)),
  ]);
  return {
    kind: 'cluster',
    schemaVersion: copy.schemaVersion,
    clusterId,
    clusterSet,
    clusters,
    instances: instances.filter((instance) => ids.has(instance.clusterId) && isDiallable(instance)),
    viewId: null,
    options,
    guideline: await guidelineNamed(copy, options.guidelineId),
  };
}

async function readReplicaSet(copy: Copy): Promise<MetadataFacts> {
  const { query, clusterId } = copy;
  const [cluster] = rowsIn(await query(REPLICASET_QUERY, [clusterId]));
  const rows = rowsIn(await query(REPLICASET_MEMBERS_QUERY, [clusterId]));
  const options = parseRouterOptions([
    jsonIn(cluster, 'clusterOptions'),
    ...(await optionsOfRouter(copy, false)),
  ]);
  const views = rows.map((row) => numberIn(row, 'viewId')).filter((viewId) => viewId > 0);
  return {
    kind: 'replicaset',
    schemaVersion: copy.schemaVersion,
    clusterId,
    clusterSet: null,
    clusters: [
      {
        id: clusterId,
        name: textIn(cluster, 'clusterName'),
        groupName: '',
        role: 'PRIMARY',
        isInvalidated: false,
      },
    ],
    instances: rows.map(instanceIn).filter(isDiallable),
    viewId: Math.max(0, ...views),
    options,
    guideline: await guidelineNamed(copy, options.guidelineId),
  };
}

/** Options that AdminAPI set for this router alone; they exist only for a router that is registered. */
async function optionsOfRouter(copy: Copy, isInSet: boolean): Promise<readonly unknown[]> {
  const { query, minor, routerLabel } = copy;
  if (minor < 1 || (minor < 2 && !isInSet)) return [];
  const view = minor < 2 ? 'v2_cs_router_options' : 'v2_router_options';
  const [row] = rowsIn(await query(routerOptionsQuery(view), [routerLabel]));
  return row === undefined ? [] : [jsonIn(row, 'routerOptions')];
}

/** Read only where it is wanted: it may be long, and is read again with every reading. */
async function guidelineNamed({ query, minor, readsGuideline }: Copy, id: string | null): Promise<unknown> {
  if (!readsGuideline || minor < 3 || id === null) return null;
  const [row] = rowsIn(await query(GUIDELINE_QUERY, [id]));
  return row === undefined ? null : (jsonIn(row, 'guideline') ?? null);
}

function clusterSetIn(row: Row): ClusterSetFacts | null {
  const id = textIn(row, 'clusterSetId');
  if (id === '') return null;
  return { id, name: textIn(row, 'clusterSetName'), viewId: numberIn(row, 'viewId') };
}

function clusterIn(row: Row, isInSet: boolean): MetadataCluster {
  const role = textIn(row, 'memberRole');
  return {
    id: textIn(row, 'clusterId'),
    name: textIn(row, 'clusterName'),
    groupName: textIn(row, 'groupName'),
    role: !isInSet || role === 'PRIMARY' ? 'PRIMARY' : role === 'REPLICA' ? 'REPLICA' : null,
    isInvalidated: isInSet && numberIn(row, 'invalidated') === 1,
  };
}

function instanceIn(row: Row): MetadataInstance {
  const attributes = jsonIn(row, 'attributes');
  const role = textIn(row, 'memberRole');
  const kind = isRecord(attributes) ? attributes['instance_type'] : undefined;
  return {
    id: textIn(row, 'id'),
    clusterId: textIn(row, 'clusterId'),
    endpoint: textIn(row, 'endpoint'),
    xEndpoint: textIn(row, 'xEndpoint') || null,
    label: textIn(row, 'label'),
    kind: kind === 'read-replica' ? 'read-replica' : 'member',
    role: role === 'PRIMARY' || role === 'SECONDARY' ? role : null,
    tags: parseTags(attributes),
  };
}

/** What nobody can dial is nobody to wait for. */
function isDiallable({ endpoint }: MetadataInstance): boolean {
  return /^(?:\[[^\]]+\]|[^:]+):\d+$/.test(endpoint);
}

type Row = Readonly<Record<string, unknown>>;

function rowsIn(rows: unknown): readonly Row[] {
  return Array.isArray(rows) ? rows.filter(isRecord) : [];
}

/** Empty for NULL and for a column that is missing. */
function textIn(row: Row | undefined, column: string): string {
  const value = row?.[column];
  return value === null || value === undefined ? '' : String(value);
}

function numberIn(row: Row | undefined, column: string): number {
  const number = Number(textIn(row, column));
  return Number.isFinite(number) ? number : 0;
}

function jsonIn(row: Row | undefined, column: string): unknown {
  return parseJson(row?.[column]);
}

const SUPPORTED_MAJOR = 2;
/**
 * A statement that waits, for the lock of a schema upgrade say, would keep the probe behind it waiting: it is given up
 * by the server after this time.
 */
const SELECT = 'SELECT /*+ MAX_EXECUTION_TIME(500) */';
const SCHEMA = 'mysql_innodb_cluster_metadata';
/** Far above what AdminAPI supports; only so that a broken schema cannot fill the router's memory. */
const MAX_CLUSTERS = 64;
const MAX_INSTANCES = 1000;

const VERSION_QUERY = `${SELECT} major, minor, patch FROM ${SCHEMA}.schema_version`;
const THIS_INSTANCE_QUERY = `${SELECT} cluster_id AS clusterId, cluster_type AS clusterType FROM ${SCHEMA}.v2_this_instance LIMIT 1`;
const CLUSTER_COLUMNS =
  'c.cluster_id AS clusterId, c.cluster_name AS clusterName, c.group_name AS groupName, c.router_options AS clusterOptions';
const CLUSTERS_QUERY_2_0 = `${SELECT} ${CLUSTER_COLUMNS} FROM ${SCHEMA}.v2_gr_clusters c LIMIT ${MAX_CLUSTERS}`;
const CLUSTERS_QUERY =
  `${SELECT} ${CLUSTER_COLUMNS}, s.clusterset_id AS clusterSetId, s.domain_name AS clusterSetName,` +
  ' s.router_options AS setOptions, s.view_id AS viewId, m.member_role AS memberRole, m.invalidated AS invalidated' +
  ` FROM ${SCHEMA}.v2_gr_clusters c LEFT JOIN ${SCHEMA}.v2_cs_members m ON m.cluster_id = c.cluster_id` +
  ` LEFT JOIN ${SCHEMA}.v2_cs_clustersets s ON s.clusterset_id = m.clusterset_id LIMIT ${MAX_CLUSTERS}`;
const INSTANCE_COLUMNS =
  'i.mysql_server_uuid AS id, i.cluster_id AS clusterId, i.endpoint, i.xendpoint AS xEndpoint, i.label, i.attributes';
const INSTANCES_QUERY = `${SELECT} ${INSTANCE_COLUMNS} FROM ${SCHEMA}.v2_instances i LIMIT ${MAX_INSTANCES}`;
const REPLICASET_QUERY = `${SELECT} cluster_name AS clusterName, router_options AS clusterOptions FROM ${SCHEMA}.v2_ar_clusters WHERE cluster_id = ? LIMIT 1`;
const REPLICASET_MEMBERS_QUERY =
  `${SELECT} ${INSTANCE_COLUMNS}, m.member_role AS memberRole, m.view_id AS viewId FROM ${SCHEMA}.v2_instances i` +
  ` LEFT JOIN ${SCHEMA}.v2_ar_members m ON m.instance_id = i.instance_id AND m.cluster_id = i.cluster_id` +
  ` WHERE i.cluster_id = ? LIMIT ${MAX_INSTANCES}`;

const GUIDELINE_QUERY = `${SELECT} guideline FROM ${SCHEMA}.routing_guidelines WHERE guideline_id = ? LIMIT 1`;

function routerOptionsQuery(view: 'v2_cs_router_options' | 'v2_router_options'): string {
  return `${SELECT} router_options AS routerOptions FROM ${SCHEMA}.${view} WHERE router_label = ? LIMIT 1`;
}
