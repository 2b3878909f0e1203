/**
 * This router's row in `v2_routers`: what AdminAPI's listRouters shows. Nothing is written that is there already: every
 * write goes through the binary log of all members, with the whole row before and after.
 */
import { isRecord, parseJson } from '../../../routing/metadata/router-options.ts';
import type { RouteConfig } from '../../config/config.ts';
import type { RunQuery } from './metadata-query.ts';

export type RouterIdentity = {
  /** `address`; the host name, as a rule. */
  readonly address: string;
  /** `router_name`; may be empty. */
  readonly name: string;
  readonly version: string;
  readonly attributes: RouterAttributes;
};

/** What the metadata shows of a route. */
export type RegisteredRoute = Pick<RouteConfig, 'listen' | 'protocol' | 'role'>;

/** As MySQL Router names them; ports are text. */
export type RouterAttributes = Readonly<Record<string, string>>;

/** What the router is entered for. */
export type RouterHome = {
  readonly kind: 'cluster' | 'clusterset' | 'replicaset';
  /** Of the ClusterSet, or of the cluster or ReplicaSet. */
  readonly id: string;
  /** "2.4.0". */
  readonly schemaVersion: string;
};

export type EnterOutcome =
  | { readonly kind: 'entered'; readonly routerId: number; readonly isNew: boolean }
  /** The row belongs to another program. */
  | { readonly kind: 'taken'; readonly productName: string };

export function routerAttributes(
  routes: readonly RegisteredRoute[],
  user: string,
  home: RouterHome['kind'],
): RouterAttributes {
  const attributes: Record<string, string> = { MetadataUser: user, bootstrapTargetType: home };
  for (const { listen, protocol, role } of routes) {
    const name = ATTRIBUTE_NAMES[`${protocol} ${role}`];
    // The first route of a kind is the one to show; a port the system chooses is nothing to rely on.
    if (name !== undefined && listen.port !== 0) attributes[name] ??= String(listen.port);
  }
  return attributes;
}

/** Finds or makes the row and brings it up to date. @throws whatever `query` throws */
export async function enterRouter(
  query: RunQuery,
  { address, name, version, attributes }: RouterIdentity,
  home: RouterHome,
): Promise<EnterOutcome> {
  let row = await findRow(query, address, name, home);
  const isNew = row === null;
  if (row === null) {
    await query(`INSERT INTO ${SCHEMA}.v2_routers (address, product_name, router_name) VALUES (?, ?, ?)`, [
      address,
      PRODUCT_NAME,
      name,
    ]);
    row = await findRow(query, address, name, home);
  }
  if (row === null) throw new Error('the new row in v2_routers cannot be found');
  if (row.productName !== PRODUCT_NAME) return { kind: 'taken', productName: row.productName };
  const shownVersion = version.slice(0, MAX_VERSION_LENGTH);
  const isCurrent =
    row.version === shownVersion &&
    row.homeId === home.id &&
    Object.entries(attributes).every(([key, value]) => row.attributes[key] === value);
  if (!isCurrent) {
    await query(
      `UPDATE ${SCHEMA}.v2_routers SET version = ?, ${homeColumn(home)} = ?,` +
        " attributes = JSON_MERGE_PATCH(COALESCE(attributes, '{}'), CAST(? AS JSON)) WHERE router_id = ?",
      [shownVersion, home.id, JSON.stringify(attributes), String(row.id)],
    );
  }
  return { kind: 'entered', routerId: row.id, isNew };
}

/** @throws whatever `query` throws */
export async function checkIn(query: RunQuery, routerId: number, home: RouterHome): Promise<void> {
  // From 2.4 on in a table of its own, because of what a row of v2_routers weighs in the binary log.
  const statement =
    minorOf(home) >= 4
      ? `INSERT INTO ${SCHEMA}.router_stats (router_id, last_check_in) VALUES (?, NOW()) ON DUPLICATE KEY UPDATE last_check_in = NOW()`
      : `UPDATE ${SCHEMA}.v2_routers SET last_check_in = NOW() WHERE router_id = ?`;
  await query(statement, [String(routerId)]);
}

type RouterRow = {
  readonly id: number;
  readonly productName: string;
  readonly version: string;
  readonly homeId: string;
  readonly attributes: Readonly<Record<string, unknown>>;
};

async function findRow(
  query: RunQuery,
  address: string,
  name: string,
  home: RouterHome,
): Promise<RouterRow | null> {
  const rows = await query(
    `SELECT router_id AS id, product_name AS productName, version, ${homeColumn(home)} AS homeId, attributes` +
      ` FROM ${SCHEMA}.v2_routers WHERE address = ? AND router_name = ? LIMIT 1`,
    [address, name],
  );
  const [row]: readonly unknown[] = Array.isArray(rows) ? rows : [];
  if (!isRecord(row)) return null;
  const attributes = parseJson(row['attributes']);
  return {
    id: Number(row['id']),
    productName: String(row['productName'] ?? ''),
    version: String(row['version'] ?? ''),
    homeId: String(row['homeId'] ?? ''),
    attributes: isRecord(attributes) ? attributes : {},
  };
}

/** A router of a ClusterSet belongs to the set; its options are the set's. */
function homeColumn({ kind }: RouterHome): 'clusterset_id' | 'cluster_id' {
  return kind === 'clusterset' ? 'clusterset_id' : 'cluster_id';
}

function minorOf({ schemaVersion }: RouterHome): number {
  return Number(schemaVersion.split('.')[1] ?? '0');
}

const SCHEMA = 'mysql_innodb_cluster_metadata';
const PRODUCT_NAME = 'Fairlead';
/** `version` is VARCHAR(12). */
const MAX_VERSION_LENGTH = 12;
const ATTRIBUTE_NAMES: Readonly<Partial<Record<string, string>>> = {
  'classic primary': 'RWEndpoint',
  'classic secondary': 'ROEndpoint',
  'classic primary-and-secondary': 'RWSplitEndpoint',
  'x primary': 'RWXEndpoint',
  'x secondary': 'ROXEndpoint',
};
