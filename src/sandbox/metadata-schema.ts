/**
 * The schema MySQL Shell keeps an InnoDB Cluster's metadata in, as far as MySQL Router and Fairlead read and write it:
 * public names and columns only, our own definitions behind them.
 *
 * Source of names: the queries in MySQL Router's log at level DEBUG and the manual's "Metadata schema" pages; what a
 * version added: 2.1 ClusterSet, 2.2 router options for every topology, 2.3 routing guidelines, 2.4 router statistics.
 */

/** Versions that can be installed, oldest first. */
export const METADATA_VERSIONS = ['2.0', '2.1', '2.2', '2.3', '2.4'] as const;

export type MetadataVersion = (typeof METADATA_VERSIONS)[number];

export const METADATA_SCHEMA = 'mysql_innodb_cluster_metadata';

/** The statements that create the schema of `version`, empty but for its version number. */
export function metadataSchemaStatements(version: MetadataVersion): readonly string[] {
  const minor = METADATA_VERSIONS.indexOf(version);
  return [
    `CREATE DATABASE ${METADATA_SCHEMA} CHARACTER SET utf8mb4`,
    `CREATE VIEW ${METADATA_SCHEMA}.schema_version (major, minor, patch) AS SELECT 2, ${minor}, 0`,
    ...TABLES,
    ...VIEWS,
    ...(minor >= 1 ? CLUSTER_SET_STATEMENTS : []),
    ...(minor >= 2 ? [ROUTER_OPTIONS_VIEW] : []),
    ...(minor >= 3 ? [ROUTING_GUIDELINES_TABLE] : []),
    ...(minor >= 4 ? [ROUTER_STATS_TABLE] : []),
  ];
}

const TABLES: readonly string[] = [
  `CREATE TABLE ${METADATA_SCHEMA}.clusters (
    cluster_id CHAR(36) CHARACTER SET ascii PRIMARY KEY,
    cluster_name VARCHAR(63) NOT NULL,
    cluster_type ENUM('gr', 'ar') NOT NULL,
    primary_mode ENUM('pm', 'mm') NOT NULL DEFAULT 'pm',
    clusterset_id CHAR(36) CHARACTER SET ascii,
    attributes JSON,
    router_options JSON)`,
  `CREATE TABLE ${METADATA_SCHEMA}.instances (
    instance_id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    cluster_id CHAR(36) CHARACTER SET ascii NOT NULL,
    instance_name VARCHAR(265) NOT NULL,
    mysql_server_uuid CHAR(36) CHARACTER SET ascii NOT NULL UNIQUE,
    address VARCHAR(265) NOT NULL,
    addresses JSON NOT NULL,
    attributes JSON,
    instance_type ENUM('group-member', 'async-member', 'read-replica') NOT NULL DEFAULT 'group-member')`,
  `CREATE TABLE ${METADATA_SCHEMA}.async_cluster_members (
    cluster_id CHAR(36) CHARACTER SET ascii NOT NULL,
    view_id INT UNSIGNED NOT NULL,
    instance_id INT UNSIGNED NOT NULL,
    primary_instance_id INT UNSIGNED,
    PRIMARY KEY (cluster_id, view_id, instance_id))`,
  `CREATE TABLE ${METADATA_SCHEMA}.async_cluster_views (
    cluster_id CHAR(36) CHARACTER SET ascii NOT NULL,
    view_id INT UNSIGNED NOT NULL,
    PRIMARY KEY (cluster_id, view_id))`,
  `CREATE TABLE ${METADATA_SCHEMA}.routers (
    router_id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    router_name VARCHAR(265) NOT NULL,
    product_name VARCHAR(128) NOT NULL,
    address VARCHAR(256) NOT NULL,
    version VARCHAR(12),
    last_check_in TIMESTAMP NULL,
    attributes JSON,
    cluster_id CHAR(36) CHARACTER SET ascii,
    options JSON,
    clusterset_id CHAR(36) CHARACTER SET ascii,
    UNIQUE KEY (address, router_name))`,
  `CREATE TABLE ${METADATA_SCHEMA}.router_rest_accounts (
    cluster_id CHAR(36) CHARACTER SET ascii NOT NULL,
    user VARCHAR(256) CHARACTER SET ascii NOT NULL,
    authentication_method VARCHAR(64) NOT NULL,
    authentication_string TEXT,
    privileges JSON,
    PRIMARY KEY (cluster_id, user))`,
];

const VIEWS: readonly string[] = [
  `CREATE VIEW ${METADATA_SCHEMA}.v2_clusters AS
    SELECT cluster_id, cluster_name, cluster_type, primary_mode, attributes, router_options
    FROM ${METADATA_SCHEMA}.clusters`,
  `CREATE VIEW ${METADATA_SCHEMA}.v2_gr_clusters AS
    SELECT cluster_id, cluster_name, cluster_type, primary_mode, clusterset_id, attributes, router_options,
      attributes->>'$.group_replication_group_name' AS group_name
    FROM ${METADATA_SCHEMA}.clusters WHERE cluster_type = 'gr'`,
  `CREATE VIEW ${METADATA_SCHEMA}.v2_ar_clusters AS
    SELECT c.cluster_id, c.cluster_name, c.cluster_type, c.primary_mode, c.attributes, c.router_options,
      (SELECT MAX(v.view_id) FROM ${METADATA_SCHEMA}.async_cluster_views v
        WHERE v.cluster_id = c.cluster_id) AS view_id
    FROM ${METADATA_SCHEMA}.clusters c WHERE c.cluster_type = 'ar'`,
  `CREATE VIEW ${METADATA_SCHEMA}.v2_instances AS
    SELECT instance_id, cluster_id, instance_name AS label, mysql_server_uuid, address,
      addresses->>'$.mysqlClassic' AS endpoint, addresses->>'$.mysqlX' AS xendpoint,
      addresses->>'$.grLocal' AS grendpoint,
      JSON_INSERT(COALESCE(attributes, '{}'), '$.instance_type', instance_type) AS attributes
    FROM ${METADATA_SCHEMA}.instances`,
  `CREATE VIEW ${METADATA_SCHEMA}.v2_this_instance AS
    SELECT i.instance_id, c.cluster_id, c.cluster_name, c.cluster_type
    FROM ${METADATA_SCHEMA}.instances i JOIN ${METADATA_SCHEMA}.clusters c USING (cluster_id)
    WHERE i.mysql_server_uuid = (SELECT CONVERT(variable_value USING ascii)
      FROM performance_schema.global_variables WHERE variable_name = 'server_uuid')`,
  `CREATE VIEW ${METADATA_SCHEMA}.v2_ar_members AS
    SELECT m.view_id, m.cluster_id, m.instance_id, i.mysql_server_uuid AS member_id, i.instance_name AS label,
      IF(m.primary_instance_id IS NULL, 'PRIMARY', 'SECONDARY') AS member_role
    FROM ${METADATA_SCHEMA}.async_cluster_members m JOIN ${METADATA_SCHEMA}.instances i USING (instance_id)
    WHERE m.view_id = (SELECT MAX(v.view_id) FROM ${METADATA_SCHEMA}.async_cluster_views v
      WHERE v.cluster_id = m.cluster_id)`,
  `CREATE VIEW ${METADATA_SCHEMA}.v2_routers AS
    SELECT router_id, router_name, product_name, address, version, last_check_in, attributes, cluster_id, options,
      clusterset_id
    FROM ${METADATA_SCHEMA}.routers`,
  `CREATE VIEW ${METADATA_SCHEMA}.v2_router_rest_accounts AS
    SELECT cluster_id, user, authentication_method, authentication_string, privileges
    FROM ${METADATA_SCHEMA}.router_rest_accounts`,
];

const CLUSTER_SET_STATEMENTS: readonly string[] = [
  `CREATE TABLE ${METADATA_SCHEMA}.clustersets (
    clusterset_id CHAR(36) CHARACTER SET ascii PRIMARY KEY,
    domain_name VARCHAR(64) NOT NULL,
    attributes JSON,
    router_options JSON)`,
  `CREATE TABLE ${METADATA_SCHEMA}.clusterset_members (
    clusterset_id CHAR(36) CHARACTER SET ascii NOT NULL,
    view_id BIGINT UNSIGNED NOT NULL,
    cluster_id CHAR(36) CHARACTER SET ascii NOT NULL,
    member_role ENUM('PRIMARY', 'REPLICA') NOT NULL,
    PRIMARY KEY (clusterset_id, view_id, cluster_id))`,
  `CREATE TABLE ${METADATA_SCHEMA}.clusterset_views (
    clusterset_id CHAR(36) CHARACTER SET ascii NOT NULL,
    view_id BIGINT UNSIGNED NOT NULL,
    PRIMARY KEY (clusterset_id, view_id))`,
  `CREATE VIEW ${METADATA_SCHEMA}.v2_cs_clustersets AS
    SELECT s.clusterset_id, s.domain_name, s.attributes, s.router_options,
      (SELECT MAX(v.view_id) FROM ${METADATA_SCHEMA}.clusterset_views v
        WHERE v.clusterset_id = s.clusterset_id) AS view_id
    FROM ${METADATA_SCHEMA}.clustersets s`,
  // A cluster of the set that its newest view leaves out has been invalidated.
  `CREATE VIEW ${METADATA_SCHEMA}.v2_cs_members AS
    SELECT s.view_id, s.clusterset_id, c.cluster_id, c.cluster_name, m.member_role,
      m.cluster_id IS NULL AS invalidated
    FROM ${METADATA_SCHEMA}.clusters c JOIN ${METADATA_SCHEMA}.v2_cs_clustersets s USING (clusterset_id)
      LEFT JOIN ${METADATA_SCHEMA}.clusterset_members m ON m.clusterset_id = s.clusterset_id
        AND m.cluster_id = c.cluster_id AND m.view_id = s.view_id`,
  `CREATE VIEW ${METADATA_SCHEMA}.v2_cs_router_options AS
    SELECT r.router_id, CONCAT(r.address, '::', r.router_name) AS router_label,
      JSON_MERGE_PATCH(COALESCE(s.router_options, '{}'), COALESCE(r.options, '{}')) AS router_options
    FROM ${METADATA_SCHEMA}.routers r LEFT JOIN ${METADATA_SCHEMA}.clustersets s USING (clusterset_id)`,
];

const ROUTER_OPTIONS_VIEW = `CREATE VIEW ${METADATA_SCHEMA}.v2_router_options AS
  SELECT r.router_id, r.cluster_id, r.clusterset_id, CONCAT(r.address, '::', r.router_name) AS router_label,
    JSON_MERGE_PATCH(COALESCE(s.router_options, '{}'), COALESCE(c.router_options, '{}'),
      COALESCE(r.options, '{}')) AS router_options
  FROM ${METADATA_SCHEMA}.routers r
    LEFT JOIN ${METADATA_SCHEMA}.clusters c ON c.cluster_id = r.cluster_id
    LEFT JOIN ${METADATA_SCHEMA}.clustersets s ON s.clusterset_id = r.clusterset_id`;

const ROUTING_GUIDELINES_TABLE = `CREATE TABLE ${METADATA_SCHEMA}.routing_guidelines (
  guideline_id CHAR(36) CHARACTER SET ascii PRIMARY KEY,
  guideline JSON NOT NULL,
  cluster_id CHAR(36) CHARACTER SET ascii,
  clusterset_id CHAR(36) CHARACTER SET ascii,
  default_guideline BOOLEAN NOT NULL DEFAULT FALSE)`;

const ROUTER_STATS_TABLE = `CREATE TABLE ${METADATA_SCHEMA}.router_stats (
  router_id INT UNSIGNED PRIMARY KEY,
  last_check_in TIMESTAMP NULL)`;
