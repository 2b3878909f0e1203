/**
 * Networks a client's address may be in, and who a route lets in by them.
 */
import { BlockList, isIPv4, isIPv6 } from 'node:net';
import { withoutMapping } from '../../protocol/ip-address.ts';
import type { Network, RouteConfig } from '../config/config.ts';

export type NetworkSet = { has(address: string): boolean };

/** Null for no networks at all: then nobody needs to be looked up. */
export function createNetworkSet(networks: readonly Network[]): NetworkSet | null {
  if (networks.length === 0) return null;
  const list = new BlockList();
  for (const { address, prefixBits } of networks)
    list.addSubnet(address, prefixBits, isIPv4(address) ? 'ipv4' : 'ipv6');
  return {
    has(written) {
      // An IPv6 socket writes IPv4 clients in its own way, and link-local ones with their zone.
      const [address = ''] = withoutMapping(written).split('%');
      if (isIPv4(address)) return list.check(address, 'ipv4');
      return isIPv6(address) && list.check(address, 'ipv6');
    },
  };
}

/** Null where everybody is let in. */
export function createAccess({ access }: Pick<RouteConfig, 'access'>): NetworkSet | null {
  const allowed = createNetworkSet(access.allow);
  const denied = createNetworkSet(access.deny);
  if (allowed === null && denied === null) return null;
  return { has: (address) => denied?.has(address) !== true && (allowed === null || allowed.has(address)) };
}
