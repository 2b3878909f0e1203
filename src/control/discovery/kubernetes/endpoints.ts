/**
 * From EndpointSlices, and pods where they may be read, to destinations. Pure.
 */
import { addressOf } from '../../../../routing/address.ts';
import { bareDestination, type Destination, type DestinationHint } from '../../../../routing/destinations.ts';
import type { KubernetesSeed } from '../../../config/config.ts';
import type { EndpointSlice, Pod } from './objects.ts';

type Endpoint = NonNullable<EndpointSlice['endpoints']>[number];

export type EndpointsFound =
  | { readonly kind: 'found'; readonly destinations: readonly Destination[] }
  /** There are slices, and nothing in them to go by. */
  | { readonly kind: 'unusable'; readonly code: string; readonly message: string };

/**
 * Each endpoint once, in natural order of names. One may stand in two slices for a moment while it moves, and in one for
 * each address family always.
 *
 * @param namespace of the Service
 */
export function destinationsOf(
  slices: readonly EndpointSlice[],
  pods: readonly Pod[],
  seed: KubernetesSeed,
  namespace: string,
): EndpointsFound {
  const podsByUid = new Map(pods.map((pod) => [pod.metadata.uid, pod]));
  const found = new Map<string, Destination>();
  let names: readonly string[] = [];
  // Of two mentions the first counts, so the better come first.
  for (const slice of slices.toSorted(byFamily)) {
    const port = portOf(slice, seed.port);
    if (port === null) {
      names = (slice.ports ?? []).map(({ name }) => name ?? '(unnamed)');
      continue;
    }
    for (const endpoint of slice.endpoints ?? []) {
      const destination = destinationOf(slice, endpoint, port, seed, namespace, podsByUid);
      if (destination === null) continue;
      const uid = endpoint.targetRef?.uid ?? '';
      const key = uid === '' ? destination.address : uid;
      const known = found.get(key);
      if (known === undefined || rank(destination.hint) < rank(known.hint)) {
        found.set(key, destination);
      }
    }
  }
  const destinations = uniqueByAddress([...found.values()]);
  if (destinations.length > 0) return { kind: 'found', destinations };
  if (names.length > 0) {
    const wanted = seed.port ?? 'mysql';
    const message = `no port ${wanted} in the EndpointSlices of ${namespace}/${seed.service}, which have ${names.join(', ')}`;
    return { kind: 'unusable', code: 'no_port', message };
  }
  const message = `the Service ${namespace}/${seed.service} has no endpoints`;
  return { kind: 'unusable', code: 'no_endpoints', message };
}

function destinationOf(
  slice: EndpointSlice,
  endpoint: Endpoint,
  port: number,
  seed: KubernetesSeed,
  namespace: string,
  pods: ReadonlyMap<string, Pod>,
): Destination | null {
  // All addresses of an endpoint are the same endpoint; the first is meant to be used.
  const [address] = endpoint.addresses;
  if (address === undefined) return null;
  const isName = slice.addressType === 'FQDN';
  const { hostname } = endpoint;
  const host =
    hostname != null && hostname !== ''
      ? `${hostname}.${seed.service}.${namespace}.svc.${seed.clusterDomain}`
      : address;
  const pod = pods.get(endpoint.targetRef?.uid ?? '');
  return {
    ...bareDestination(addressOf(host, port)),
    isFullName: true,
    dialHost: isName ? null : address,
    zone: endpoint.zone ?? '',
    labels: pod?.metadata.labels ?? {},
    hint: hintOf(endpoint),
  };
}

/** Where publishNotReadyAddresses is set, `ready` is always true: `serving` is what the pod says. */
function hintOf({ conditions }: Endpoint): DestinationHint {
  if (conditions?.terminating === true) return 'terminating';
  return (conditions?.serving ?? conditions?.ready ?? true) ? 'ready' : 'not-ready';
}

/** A port may be named or numbered; without either, the one named mysql, or the only one there is. */
function portOf(slice: EndpointSlice, wanted: KubernetesSeed['port']): number | null {
  const ports = slice.ports ?? [];
  if (typeof wanted === 'number') return wanted;
  const named = ports.find(({ name }) => name === (wanted ?? 'mysql'));
  if (named !== undefined) return named.port ?? null;
  return wanted === null && ports.length === 1 ? (ports[0]?.port ?? null) : null;
}

/** Two pods of one name are one that was replaced: what is left of the former is about to go. */
function uniqueByAddress(destinations: readonly Destination[]): readonly Destination[] {
  const byAddress = new Map<string, Destination>();
  for (const destination of destinations.toSorted((a, b) => rank(a.hint) - rank(b.hint))) {
    if (!byAddress.has(destination.address)) byAddress.set(destination.address, destination);
  }
  return [...byAddress.values()].sort((a, b) => NATURAL_ORDER.compare(a.address, b.address));
}

function rank(hint: DestinationHint): number {
  return ['ready', 'none', 'not-ready', 'terminating'].indexOf(hint);
}

/** IPv4 before IPv6, and in an order that does not depend on which slice came first. */
function byFamily(a: EndpointSlice, b: EndpointSlice): number {
  return a.addressType.localeCompare(b.addressType) || a.metadata.name.localeCompare(b.metadata.name);
}

const NATURAL_ORDER = new Intl.Collator('en', { numeric: true });
