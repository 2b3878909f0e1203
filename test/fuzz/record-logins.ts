/**
 * Records logins of real clients on real servers for the corpus of connection-phase-fuzz.ts.
 *
 *     node test/fuzz/record-logins.ts
 */

import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { createSandbox } from '../../src/sandbox/index.ts';
import { createMatrixAccounts } from '../compatibility/accounts.ts';
import { createClients } from '../compatibility/clients/clients.ts';
import type { Step } from '../protocol/conversation.ts';
import { formatLogin, LOGINS } from './connection-phase-fuzz.ts';

const CLIENTS = ['mysql2', 'PyMySQL', 'DBD::mysql (libmariadb)', 'DBD::mysql (libmysqlclient)'];
const sandbox = await createSandbox({ log: console.log });
try {
  await mkdir(LOGINS, { recursive: true });
  const clients = (await createClients(sandbox)).filter(({ name }) => CLIENTS.includes(name));
  for (const kind of ['mysql', 'mariadb'] as const) {
    const server = kind === 'mysql' ? await sandbox.startServer() : await sandbox.startMariadb();
    const accounts = await createMatrixAccounts(server);
    for (const client of clients) {
      for (const { name, user, password, cache } of accounts) {
        if (cache === 'cold') await server.query('FLUSH PRIVILEGES');
        const steps: Step[] = [];
        const port = await recordOne(server.port, steps);
        await client.logIn({ host: '127.0.0.1', port, user, password, tls: false, compression: 'none' });
        const file = `${kind}-${client.name}-${name}`.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
        // The first command is worth keeping, for it may come early.
        const login = steps.slice(0, 14).filter(([, bytes]) => bytes.length < 5000);
        await writeFile(join(LOGINS, `${file}.txt`), formatLogin(login));
      }
    }
  }
  for (const client of clients) client.close();
} finally {
  await sandbox.close();
}

/** Listens for one connection, and writes down what passes. */
async function recordOne(port: number, steps: Step[]): Promise<number> {
  const hop = createServer((near) => {
    hop.close();
    const far = connect({ host: '127.0.0.1', port });
    near.on('data', (bytes) => steps.push(['client', bytes]));
    far.on('data', (bytes) => steps.push(['server', bytes]));
    near.pipe(far).pipe(near);
    near.on('error', () => far.destroy());
    far.on('error', () => near.destroy());
  });
  hop.listen(0, '127.0.0.1');
  await once(hop, 'listening');
  const address = hop.address();
  return address === null || typeof address === 'string' ? 0 : address.port;
}
