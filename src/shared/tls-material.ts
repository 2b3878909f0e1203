/**
 * What data threads make TLS contexts of, read and tried by the main thread. It holds private keys: it goes to data threads
 * and nowhere else.
 */
import type { RouteConfig } from '../config/config.ts';

type RouteTls = RouteConfig['tls'];

export type RouteTlsMaterial = {
  readonly minVersion: RouteTls['minVersion'];
  /** For the side on which the router is the TLS server. */
  readonly toClients: {
    readonly mode: 'disabled' | 'preferred' | 'required';
    readonly cert: string;
    readonly key: string;
    /** Given, clients need a certificate. */
    readonly ca: readonly string[] | null;
    readonly crl: readonly string[] | null;
    readonly ciphers: string | null;
    /** 48 bytes, the same in all threads, so that a client may come back to any; null where no tickets are given. */
    readonly ticketKeys: Uint8Array | null;
  };
  /** For the side on which it is the TLS client. */
  readonly toServers: {
    readonly mode: RouteTls['server']['mode'];
    readonly verify: RouteTls['server']['verify'];
    readonly ca: readonly string[] | null;
    readonly crl: readonly string[] | null;
    readonly cert: string | null;
    readonly key: string | null;
    readonly ciphers: string | null;
    readonly hasSessionCache: boolean;
  };
  /** RSA, PKCS #8: for passwords of clients without TLS on their way to servers with it; null where that cannot be. */
  readonly authKey: string | null;
};

/** By name of the route; routes that pass TLS through have none. */
export type TlsMaterials = ReadonlyMap<string, RouteTlsMaterial>;
