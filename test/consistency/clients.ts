/** Clients of the RW port that set and read registers and append to and read lists, and write down all of it. */
import { setTimeout as pause } from 'node:timers/promises';
import type { Connection, ConnectionOptions, RowDataPacket } from 'mysql2/promise';
import { createConnection } from 'mysql2/promise';
import { errorName } from '../../bench/failover/load.ts';
import { ACCOUNTS, type Row, type Server } from '../../src/sandbox/index.ts';
import type { Operation, WriteOperation } from './history.ts';

export type Histories = { readonly registers: Operation[]; readonly lists: Operation[] };

export const CREATE_TABLES: readonly string[] = [
  'CREATE TABLE app.registers (name VARCHAR(20) PRIMARY KEY, value BIGINT NOT NULL)',
  'CREATE TABLE app.lists (name VARCHAR(20) PRIMARY KEY, elements MEDIUMTEXT NOT NULL)',
];

export class Clients {
  readonly histories: Histories = { registers: [], lists: [] };
  readonly errors: string[] = [];
  readonly #login: ConnectionOptions;
  readonly #random: () => number;
  readonly #connections = new Set<Connection>();
  readonly #loops: readonly Promise<void>[];
  #nextValue = 1;
  #isStopping = false;

  /** @param random 0 to 1; what they do is drawn from it, when they do it is not */
  constructor(host: string, port: number, count: number, random: () => number) {
    this.#login = { host, port, ...ACCOUNTS.app, connectTimeout: CONNECT_TIMEOUT_MS };
    this.#random = random;
    this.#loops = Array.from({ length: count }, () => this.#run());
  }

  /** Returns when all have ended what they were at; what a minute does not end is torn off. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const tearOff = setTimeout(() => {
      for (const connection of this.#connections) connection.destroy();
    }, PATIENCE_MS);
    await Promise.all(this.#loops);
    clearTimeout(tearOff);
  }

  async #run(): Promise<void> {
    let connection: Connection | null = null;
    while (!this.#isStopping) {
      try {
        connection ??= await this.#connect();
        await this.#operate(connection);
      } catch (error) {
        this.errors.push(errorName(error));
        if (connection !== null) this.#connections.delete(connection);
        connection?.destroy();
        connection = null;
      }
      await pause(PAUSE_MS * 2 * this.#random());
    }
    connection?.destroy();
  }

  async #connect(): Promise<Connection> {
    const connection = await createConnection(this.#login);
    this.#connections.add(connection);
    // The next operation finds out.
    connection.on('error', () => undefined);
    return connection;
  }

  async #operate(connection: Connection): Promise<void> {
    const value = this.#nextValue;
    this.#nextValue += 1;
    // Lists are read as a whole: after some hundred elements another one is begun.
    const generation = Math.floor(value / VALUES_PER_LIST);
    const register = `register ${Math.floor(this.#random() * KEYS)}`;
    const list = `list ${generation}.${Math.floor(this.#random() * KEYS)}`;
    const { registers, lists } = this.histories;
    const choice = this.#random();
    if (choice < 0.25) await this.#write(connection, registers, SET_REGISTER, register, value);
    else if (choice < 0.5) registers.push(await readRegister(connection, register));
    else if (choice < 0.75) await this.#write(connection, lists, APPEND, list, value);
    else lists.push(await readList(connection, list));
  }

  async #write(
    connection: Connection,
    history: Operation[],
    sql: string,
    key: string,
    value: number,
  ): Promise<void> {
    const startedAtMs = performance.now();
    const record = (outcome: WriteOperation['outcome']): void => {
      const endedAtMs = outcome === 'unknown' ? Infinity : performance.now();
      history.push({ kind: 'write', key, value, startedAtMs, endedAtMs, outcome });
    };
    try {
      await connection.query(sql, [key, value]);
      record('acknowledged');
    } catch (error) {
      record(NEVER_APPLIED.has(errorName(error)) ? 'failed' : 'unknown');
      throw error;
    }
  }
}

/** Reads every key of the histories from `server`, which must have applied everything, into them. */
export async function readAll(server: Server, histories: Histories): Promise<void> {
  const connection = await server.connect({ socketPath: server.socketPath });
  try {
    for (const key of new Set(histories.registers.map((operation) => operation.key)))
      histories.registers.push(await readRegister(connection, key));
    for (const key of new Set(histories.lists.map((operation) => operation.key)))
      histories.lists.push(await readList(connection, key));
  } finally {
    await connection.end();
  }
}

async function readRegister(connection: Connection, key: string): Promise<Operation> {
  const startedAtMs = performance.now();
  const [[row]] = await connection.query<RowDataPacket[]>('SELECT value FROM app.registers WHERE name = ?', [
    key,
  ]);
  const { value }: Row = row ?? {};
  const values = value === undefined ? [] : [Number(value)];
  return { kind: 'read', key, values, startedAtMs, endedAtMs: performance.now() };
}

async function readList(connection: Connection, key: string): Promise<Operation> {
  const startedAtMs = performance.now();
  const [[row]] = await connection.query<RowDataPacket[]>('SELECT elements FROM app.lists WHERE name = ?', [
    key,
  ]);
  const { elements }: Row = row ?? {};
  const values = elements === undefined ? [] : String(elements).split(',').map(Number);
  return { kind: 'read', key, values, startedAtMs, endedAtMs: performance.now() };
}

const SET_REGISTER =
  'INSERT INTO app.registers VALUES (?, ?) AS new ON DUPLICATE KEY UPDATE value = new.value';
const APPEND =
  "INSERT INTO app.lists VALUES (?, ?) AS new ON DUPLICATE KEY UPDATE elements = CONCAT(lists.elements, ',', new.elements)";
/** The server's word that nothing was done: deadlock, read-only, rolled back by the group's certification. */
const NEVER_APPLIED: ReadonlySet<string> = new Set(['1213', '1290', '3101']);
const KEYS = 4;
const VALUES_PER_LIST = 2000;
const PAUSE_MS = 10;
const PATIENCE_MS = 60_000;
const CONNECT_TIMEOUT_MS = 10_000;
