/**
 * The part that the names of all instances of an Aurora cluster have in common: what follows the first dot of an
 * instance's endpoint.
 */

/**
 * From a name that Amazon gave; empty for any other.
 *
 *     db-1.abc.eu-west-1.rds.amazonaws.com            an instance
 *     shop.cluster-abc.eu-west-1.rds.amazonaws.com    the cluster; also cluster-ro- and cluster-custom-
 */
export function auroraDomainOf(hosts: readonly string[]): string {
  for (const host of hosts) {
    const name = host.toLowerCase().replace(/\.$/, '');
    if (!/\.rds\.amazonaws\.com(\.cn)?$/.test(name)) continue;
    return name.slice(name.indexOf('.') + 1).replace(/^cluster-(ro-|custom-)?/, '');
  }
  return '';
}
