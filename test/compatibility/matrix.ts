/** Every client with every account, direct and through every mode: what differs is an exception with its error. */
import type { Server } from '../../src/sandbox/index.ts';
import type { MatrixAccount } from './accounts.ts';
import type { Client, Compression, Outcome } from './clients/client.ts';
import type { Mode } from './modes.ts';

/** What one client did with one account. */
export type Case = {
  readonly client: string;
  readonly tls: boolean;
  readonly account: string;
  readonly compression: Compression;
  readonly direct: Outcome;
  readonly mode: Mode;
  readonly routed: Outcome;
};

export type MatrixOptions = {
  readonly server: Server;
  readonly clients: readonly Client[];
  readonly accounts: readonly MatrixAccount[];
  readonly modes: readonly Mode[];
  readonly compressions: readonly Compression[];
  /** Where a mode's route listens. */
  readonly portOf: (mode: Mode) => number;
};

/** Clients take turns, one login at a time: nothing here is about load. */
export async function runMatrix(options: MatrixOptions): Promise<readonly Case[]> {
  const { server, clients, accounts, modes } = options;
  const root = await server.connect({ socketPath: server.socketPath });
  const cases: Case[] = [];
  try {
    for (const client of clients) {
      for (const account of accounts) {
        for (const tls of [false, true]) {
          for (const compression of client.compressions.filter((name) =>
            options.compressions.includes(name),
          )) {
            const logIn = async (port: number): Promise<Outcome> => {
              const { user, password, cache } = account;
              if (cache === 'cold') await root.query('FLUSH PRIVILEGES');
              if (cache === 'primed') await prime(server, account);
              return client.logIn({ host: server.host, port, user, password, tls, compression });
            };
            const direct = await logIn(server.port);
            for (const mode of modes) {
              const routed = await logIn(options.portOf(mode));
              cases.push({
                client: client.name,
                tls,
                account: account.name,
                compression,
                direct,
                mode,
                routed,
              });
            }
          }
        }
      }
    }
  } finally {
    await root.end();
  }
  return cases;
}

/** A full login over TLS, after which the server knows the password's hash until it is flushed. */
async function prime(server: Server, { user, password }: MatrixAccount): Promise<void> {
  const connection = await server.connect({ user, password, ssl: { rejectUnauthorized: false } });
  await connection.end();
}

/**
 * `same`: the client gets in as it does directly, or the server's own answer reaches it. `better`: it gets in where it
 * would not directly. `other`: it does not get in, for another reason than directly.
 */
export type Verdict = 'same' | 'better' | 'other';

export function verdictOf({ direct, routed }: Case): Verdict {
  if (routed.kind === 'in') return direct.kind === 'in' ? 'same' : 'better';
  return direct.kind === 'refused' && direct.error === routed.error ? 'same' : 'other';
}

/** Whether the client wanted compression, would have had it directly, and has none. */
export function lostCompression({ direct, routed, compression }: Case): boolean {
  if (compression === 'none' || direct.kind === 'refused' || routed.kind === 'refused') return false;
  return direct.facts['Compression'] === 'ON' && routed.facts['Compression'] !== 'ON';
}
