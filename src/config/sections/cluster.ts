/** What the router is told of the cluster: where it is, what it is, and the account to ask it with. */
import { z } from 'zod';
import { choice, file, secret, secretFile, text } from '../keys.ts';
import { seeds } from './seeds.ts';

export const cluster = z.strictObject({
  topology: choice(
    [
      'auto',
      'group-replication',
      'innodb-cluster',
      'replicaset',
      'async',
      'galera',
      'aurora',
      'static',
    ] as const,
    {
      doc: 'What kind of cluster the members form, and so what they are asked to find the primary.',
      why: '`auto` asks the members themselves, and reads the metadata of an InnoDB Cluster, ClusterSet or ReplicaSet where there is any; `innodb-cluster` and `replicaset` expect it, `group-replication` and `async` do not look at it. Name the kind to leave nothing to guess. `static` asks nobody: the first seed is the primary, and all seeds take reads.',
      default: 'auto',
    },
  ),
  seeds: seeds({
    doc: 'Where to look for members: `host`, `host:port` (3306 without one), `[IPv6]:port`, a DNS name as `dns: {…}`, or a Kubernetes Service as `kubernetes: {…}`; one, or a list of any of them.',
    why: 'One reachable member is enough to learn the others of a group, but only as long as it is reachable: list all members you know, or a name that stands for all of them. On one line: `dns://name:3306`, `srv://name`, `kubernetes://namespace/service`, with the remaining keys behind `?`. Which to choose: [discovery](discovery.md).',
  }),
  auroraDomain: text({
    doc: "What the names of an Aurora cluster's instances have in common: what follows the first dot of an instance's endpoint, such as `abc.eu-west-1.rds.amazonaws.com`. By default it is taken from a seed that ends in `.rds.amazonaws.com`.",
    why: 'Set it where the seeds are names of your own. Without it the seeds are the only members that are known.',
    maxLength: 253,
  }),
  galeraFailback: choice(['settled', 'never'] as const, {
    doc: 'Galera: whether writes go back to the eldest node that was away without having been restarted (a donor, one that was desynced or cut off). `settled`: when it has been synced for 10 s. `never`: they stay until the node that has them goes. One that was restarted never takes them back.',
    why: 'With `settled` all routers agree on the one node that takes writes, also those started meanwhile. `never` moves sessions once less; a second router that is started while the eldest is back chooses that one, and two nodes that take writes make each other’s commits fail: for a router that is alone.',
    default: 'settled',
  }),
  stateFile: text({
    doc: 'File to keep the members in that are served: names, addresses and identities, no secrets; of a ClusterSet or ReplicaSet also the highest view.',
    why: 'For a start while neither DNS nor Kubernetes answers: the router asks the servers where they were last. A primary that a failover has left behind is then not believed after a restart either. Put it where it outlives the process. A relative path starts at the working directory.',
    maxLength: 4096,
  }),
  user: text({
    doc: 'Account the router asks the members with; needed unless `cluster.topology` is `static`.',
    why: 'Under Group Replication it needs SELECT on performance_schema.replication_group_members and replication_group_member_stats; under asynchronous replication REPLICATION CLIENT (MariaDB: SLAVE MONITOR) lets it tell a replica that is writable by mistake; for an InnoDB Cluster, ClusterSet or ReplicaSet SELECT on mysql_innodb_cluster_metadata.*. Clients never use it.',
    maxLength: 32,
  }),
  password: secret({
    doc: 'Password of `cluster.user`; leave it out for an account without one.',
    why: 'It is never printed. A flag can be seen in the process list and an environment variable by whoever may inspect the container: prefer `cluster.passwordFile`.',
  }),
  passwordFile: secretFile({
    doc: 'File that holds the password of `cluster.user`, read again on each reload and whenever it changes; one line break at its end is left out.',
    why: 'The way to hand over a Kubernetes or Docker secret. Not together with `cluster.password`. A relative path in the file starts at the folder of the file, elsewhere at the working directory.',
  }),
  sslMode: choice(['disabled', 'as-needed', 'preferred', 'required'] as const, {
    doc: 'TLS of the monitoring account: `disabled` never, `as-needed` where the member lets it in only so, `preferred` where the member offers it, `required` always.',
    why: 'The password is not sent readable in any mode, nor does a probe read anything secret; `required` with `cluster.sslVerify` keeps out who pretends to be a member.',
    default: 'as-needed',
  }),
  sslVerify: choice(['disabled', 'verify-ca', 'verify-identity'] as const, {
    doc: "What is checked of a member's certificate: nothing, that `cluster.sslCa` signed it, or also that it bears the member's name. Needs `cluster.sslMode: required`.",
    why: "Who is primary is decided by what members say. The name is the one in the member's address; a member that is an IP address can only be checked by its CA.",
    default: 'disabled',
  }),
  sslCa: file({
    doc: "CA certificates that members' certificates are checked with, PEM; read whenever a session begins.",
    why: "MySQL's own are signed by the `ca.pem` in its data directory, a different one on each member: put all of them into one file.",
  }),
  sslCert: file({
    doc: 'Certificate the monitoring account shows, PEM; goes with `cluster.sslKey`.',
    why: 'For an account with REQUIRE X509, ISSUER or SUBJECT.',
  }),
  sslKey: file({
    doc: 'Private key of `cluster.sslCert`, PEM, not encrypted.',
    why: 'Read whenever a session begins.',
  }),
});
