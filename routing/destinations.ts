/**
 * What sources of discovery say: addresses where members may be, with what else is known of them. They are places to
 * ask, and hints; whether there is a member, and what it may serve, only its own answer says.
 */

export type Destination = {
  /**
   * "host:port": the name of the member in logs, metrics and the API. Its host is what the member's certificate should
   * bear, and is resolved unless `dialHost` is known.
   */
  readonly address: string;
  /** Whether its host is a complete name, for which no search list applies. */
  readonly isFullName: boolean;
  /** The IP address to dial, where the source knows it. */
  readonly dialHost: string | null;
  /** `server_uuid`, where the source knows it; else empty. */
  readonly id: string;
  /** Such as `topology.kubernetes.io/zone`; empty while unknown. */
  readonly zone: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Share of the traffic relative to others of the same kind, such as an SRV record's; null where nobody said. */
  readonly weight: number | null;
  readonly hint: DestinationHint;
};

/** What the platform says of the process behind an address: early news, never the last word. */
export type DestinationHint = 'none' | 'ready' | 'not-ready' | 'terminating';

/** An address about which nothing else is known. */
export function bareDestination(address: string): Destination {
  return {
    address,
    isFullName: false,
    dialHost: null,
    id: '',
    zone: '',
    labels: {},
    weight: null,
    hint: 'none',
  };
}

/**
 * The destinations of several sources as one list, in the order of the sources. An address that several name is one
 * destination: of each fact the first source that knows it counts. So is a `server_uuid` that several name.
 */
export function mergeDestinations(lists: readonly (readonly Destination[])[]): readonly Destination[] {
  const merged: Destination[] = [];
  for (const destination of lists.flat()) {
    const index = merged.findIndex(
      (other) => other.address === destination.address || (other.id !== '' && other.id === destination.id),
    );
    const other = merged[index];
    if (other === undefined) merged.push(destination);
    else merged[index] = withFactsOf(other, destination);
  }
  return merged;
}

function withFactsOf(first: Destination, second: Destination): Destination {
  return {
    address: first.address,
    isFullName: first.isFullName || (first.address === second.address && second.isFullName),
    dialHost: first.dialHost ?? (first.address === second.address ? second.dialHost : null),
    id: first.id || second.id,
    zone: first.zone || second.zone,
    labels: { ...second.labels, ...first.labels },
    weight: first.weight ?? second.weight,
    hint: first.hint === 'none' ? second.hint : first.hint,
  };
}
