/** `npm run compatibility`: every client, account and TLS mode, direct and through the router, into docs/compatibility.md. */
import { createSandbox } from '../../src/sandbox/index.ts';
import { createMatrixAccounts } from './accounts.ts';
import { COMPRESSIONS } from './clients/client.ts';
import { createClients } from './clients/clients.ts';
import { writePart } from './document.ts';
import { createSite } from './lab.ts';
import { runMatrix } from './matrix.ts';
import { MODES } from './modes.ts';
import { accountTable, faults, modeTable } from './tables.ts';

const SERVERS = [
  { kind: 'mysql', name: 'MySQL 9.7' },
  { kind: 'mariadb', name: 'MariaDB 11.8' },
] as const;

const sandbox = await createSandbox({ log: console.log });
try {
  const clients = await createClients(sandbox);
  for (const { kind, name } of SERVERS) {
    const scope = { teardown: () => {}, comment: console.log };
    const { server, router, portOf } = await createSite(scope, sandbox, kind, MODES);
    const accounts = await createMatrixAccounts(server);
    const options = { server, clients, accounts, modes: MODES, compressions: COMPRESSIONS, portOf };
    const cases = await runMatrix(options);
    await router.stop();
    await server.stop();
    const { table, notes } = modeTable(cases, clients);
    await writePart(
      `${kind} matrix`,
      [
        `${cases.length} logins. Directly, ${name} answers:`,
        accountTable(cases, clients),
        'Logins that go through the router as they do directly (by account and compression):',
        table,
        notes.join('\n'),
      ].join('\n\n'),
    );
    const found = faults(cases);
    console.log(`${name}: ${cases.length} logins, ${found.length} unexplained`);
    for (const fault of found) console.log(fault);
    if (found.length > 0) process.exitCode = 1;
  }
  for (const client of clients) client.close();
} finally {
  await sandbox.close();
}
