/**
 * Clients with TLS, by mysql2: `node bench/load/tls-load.ts <mode> <port> <clients> <seconds>`. They cost more than the C load
 * does, so rates say little; the proxy's processor time for each operation is what is measured.
 *
 * Modes: `connect` (a full TLS handshake for each connect), `resume` (a
 * resumed one, where the other side allows it).
 */
import { type Connection, type ConnectionOptions, createConnection } from 'mysql2/promise';

const [mode, port, clients, seconds] = process.argv.slice(2);
const { LOAD_USER: user = '', LOAD_PASSWORD: password = '', LOAD_SCHEMA: database = '' } = process.env;
// mysql2 keeps TLS sessions with the options they were begun with.
const shared = { rejectUnauthorized: false };
const options = (): ConnectionOptions => ({
  host: '127.0.0.1',
  port: Number(port),
  user,
  password,
  database,
  ssl: mode === 'resume' ? shared : { rejectUnauthorized: false },
});

const ROWS = 100_000;
const latenciesUs: number[] = [];
const startedAtMs = performance.now();
const endsAtMs = startedAtMs + Number(seconds) * 1000;
await Promise.all(Array.from({ length: Number(clients) }, connectAndLeave));
const tookSeconds = (performance.now() - startedAtMs) / 1000;
latenciesUs.sort((one, other) => one - other);
const percentile = (part: number) => latenciesUs[Math.floor(latenciesUs.length * part)] ?? 0;
process.stdout.write(
  `${JSON.stringify({
    operations: latenciesUs.length,
    seconds: tookSeconds,
    bytes: 0,
    p50Us: percentile(0.5),
    p99Us: percentile(0.99),
    p999Us: percentile(0.999),
  })}\n`,
);

async function connectAndLeave(): Promise<void> {
  while (performance.now() < endsAtMs) {
    await timed(async () => {
      const connection = await createConnection(options());
      await ask(connection);
      await connection.end();
    });
  }
}

async function ask(connection: Connection): Promise<void> {
  await connection.query(`SELECT c FROM sbtest1 WHERE id=${1 + Math.floor(Math.random() * ROWS)}`);
}

async function timed(work: () => Promise<void>): Promise<void> {
  const beforeMs = performance.now();
  await work();
  latenciesUs.push((performance.now() - beforeMs) * 1000);
}
