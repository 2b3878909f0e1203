/**
 * What the router greets clients with itself, where it has to know who they are before it can choose a server: what a
 * server offers, learned from the member with the oldest version, so that no client is promised what another lacks.
 */
import { randomBytes } from 'node:crypto';
import { CLIENT_SSL, COMPRESSION_CAPABILITIES } from '../../../protocol/capability-flags.ts';
import type { InitialHandshake } from '../../../protocol/initial-handshake.ts';
import type { Member, Topology } from '../../../routing/topology.ts';

export class OwnGreeting {
  #learned: InitialHandshake | null = null;
  /** Of the members there were when it was learned. */
  #versions = '';

  /** Null while nothing is known, or members of other versions have come. */
  offer(topology: Topology): InitialHandshake | null {
    return this.#versions === versionsOf(topology) ? this.#learned : null;
  }

  learn(handshake: InitialHandshake, topology: Topology): void {
    this.#learned = handshake;
    this.#versions = versionsOf(topology);
  }

  /** A server that lacks something after all: it is not promised any more. */
  narrow({ capabilityFlags, mariadbCapabilityFlags }: InitialHandshake): void {
    if (this.#learned === null) return;
    this.#learned = {
      ...this.#learned,
      capabilityFlags: (this.#learned.capabilityFlags & capabilityFlags) >>> 0,
      mariadbCapabilityFlags: (this.#learned.mariadbCapabilityFlags & mariadbCapabilityFlags) >>> 0,
    };
  }
}

/** A greeting like `learned`, with a nonce of its own. The connection id is nobody's, so that nobody else is killed by it. */
export function greetingLike(learned: InitialHandshake): InitialHandshake {
  const nonce = Buffer.alloc(NONCE_BYTES + 1);
  // As servers make them: seven bits, neither NUL nor "$".
  for (const [index, byte] of randomBytes(NONCE_BYTES).entries()) nonce[index] = (byte % 89) + 0x25;
  return {
    ...learned,
    connectionId: 0,
    authPluginData: nonce,
    // Whether a server compresses is a matter of its settings.
    capabilityFlags: (learned.capabilityFlags & ~COMPRESSION_CAPABILITIES) >>> 0,
  };
}

/** Flags that client and server agree on and that `server` does not offer. */
export function missingFlags(agreed: number, server: InitialHandshake): number {
  return (agreed & ~server.capabilityFlags & ~CLIENT_SSL & ~COMPRESSION_CAPABILITIES) >>> 0;
}

/** Members to learn from, those with the oldest versions first. */
export function teachers({ members }: Topology): readonly Member[] {
  return members
    .filter(({ dial, acceptsReads, acceptsWrites }) => dial !== null && (acceptsReads || acceptsWrites))
    .sort((one, other) => one.version.localeCompare(other.version, 'en', { numeric: true }));
}

function versionsOf({ members }: Topology): string {
  return [...new Set(members.map(({ version }) => version))].sort().join(' ');
}

const NONCE_BYTES = 20;
