/**
 * Plays each dialogue twice at the same time, to the server itself and through a data thread, and compares what was
 * answered, byte by byte; and after every turn what the router believes of the session with what the server knows.
 */
import type { Buffer } from 'node:buffer';
import type { Connection } from 'mysql2/promise';
import type { Member } from '../../../routing/topology.ts';
import { createSandbox, type Server } from '../../../src/sandbox/index.ts';
import { ERROR_NUMBER_CELLS, sumCells, THREAD } from '../../../src/shared/counters.ts';
import { stackOf } from '../../../src/shared/message-of.ts';
import { memberNamed } from '../../routing/members.ts';
import { DataLab } from '../../support/data-lab.ts';
import type { Scope } from '../../support/scope.ts';
import { pause } from '../../support/until.ts';
import { Random } from '../random.ts';
import { createDialogue, type Dialogue, pick, type ServerKind } from './dialogue.ts';
import { Player, readable, type Tell } from './player.ts';
import { SCHEMA } from './statements.ts';

export type CampaignOptions = {
  readonly kind: ServerKind;
  readonly seconds: number;
  readonly seed: number;
  /** Only these dialogues. */
  readonly only?: readonly number[];
};

export type CampaignResult = {
  dialogues: number;
  turns: number;
  commands: number;
  bytes: number;
  refusedLogins: number;
  /** Why the router lost track, in dialogues that keep to the protocol and in others. */
  readonly opaque: Map<string, number>;
  readonly findings: Map<string, { times: number; first: string }>;
};

type Fate = {
  readonly kind: 'none' | 'drain-after' | 'drain-during' | 'cut-during';
  readonly turn: number;
  readonly afterMs: number;
};

const ROUTES = `
  - { name: secured, listen: "127.0.0.1:0", role: primary, clientSslMode: required, serverSslMode: disabled }
  - { name: bridged, listen: "127.0.0.1:0", role: primary, clientSslMode: disabled, serverSslMode: required }
  - { name: ruled, listen: "127.0.0.1:0", role: primary, clientSslMode: disabled, serverSslMode: disabled, consistency: before }`;

const SIDES = ['fz_dir', 'fz_via'] as const;

export async function runDialogues(scope: Scope, options: CampaignOptions): Promise<CampaignResult> {
  const sandbox = await createSandbox();
  scope.teardown(() => sandbox.close());
  const variables = {
    // What is called huge is too large for half of the runs.
    max_allowed_packet: options.seed % 2 === 0 ? '32M' : '1M',
    ...(options.kind === 'mysql' ? { plugin_load_add: 'group_replication.so' } : {}),
  };
  const server =
    options.kind === 'mysql'
      ? await sandbox.startServer({ variables })
      : await sandbox.startMariadb({ variables });
  const lab = await DataLab.start(scope, {
    config: 'log: { level: debug }\ndrain: { grace: 60s }',
    routes: ROUTES,
  });
  const member = memberNamed('db', {
    address: server.address,
    dial: { host: server.host, port: server.port },
    slot: 0,
    role: 'PRIMARY',
    acceptsWrites: true,
  });
  const observer = await server.connect({ multipleStatements: true });
  scope.teardown(() => observer.end());
  await prepare(observer, options.kind);
  const tell = options.only === undefined ? null : (line: string) => scope.comment(line);
  const stage: Stage = { kind: options.kind, server, member, lab, observer, tell, result: emptyResult() };
  const deadline = performance.now() + options.seconds * 1000;
  const seeds = options.only ?? countFrom(options.seed);
  for (const seed of seeds) {
    if (performance.now() > deadline) break;
    const dialogue = createDialogue(new Random(seed * 7919), seed, options.kind);
    const performed = new Performance(stage, dialogue);
    try {
      await performed.play();
    } catch (error) {
      performed.failed(error);
      break;
    }
  }
  return stage.result;
}

type Stage = {
  readonly kind: ServerKind;
  readonly server: Server;
  readonly member: Member;
  readonly lab: DataLab;
  readonly observer: Connection;
  readonly tell: Tell;
  readonly result: CampaignResult;
};

class Performance {
  readonly #stage: Stage;
  readonly #dialogue: Dialogue;
  readonly #route: string;
  readonly #fate: Fate;
  #isFateDue = false;
  #events = 0;

  constructor(stage: Stage, dialogue: Dialogue) {
    const random = new Random(dialogue.seed * 31 + 7);
    this.#stage = stage;
    this.#dialogue = dialogue;
    this.#route = pick(
      random,
      stage.kind === 'mysql' ? ['rw', 'rw', 'bridged', 'ruled', 'secured'] : ['rw', 'secured'],
    );
    this.#fate = {
      kind: pick(random, ['none', 'none', 'drain-after', 'drain-during', 'cut-during']),
      turn: random.below(dialogue.turns.length),
      afterMs: random.below(8),
    };
  }

  async play(): Promise<void> {
    const { server, lab, member, result } = this.#stage;
    await reset(this.#stage);
    lab.publish(member);
    const errorsBefore = this.#errorsCounted();
    this.#events = lab.posted.length;
    const [direct, via] = await Promise.all([
      Player.logIn(server.port, this.#dialogue, SIDES[0], this.#stage.tell),
      Player.logIn(lab.port(this.#route), this.#dialogue, SIDES[1], this.#stage.tell, this.#hasTls),
    ]);
    result.dialogues++;
    if (!direct.isIn) result.refusedLogins++;
    if (direct.isIn !== via.isIn)
      this.#find('login', `direct ${direct.isIn}, through the router ${via.isIn}`);
    for (let turn = 0; turn < this.#dialogue.turns.length && direct.isIn && via.isIn; turn++) {
      const isDuring = this.#fate.turn === turn && this.#fate.kind.endsWith('during');
      const fate = isDuring ? pause(this.#fate.afterMs).then(() => this.#strike()) : null;
      await Promise.all([direct.say(turn), via.say(turn), fate]);
      const isSettled = await this.#settle(turn, direct, via);
      result.turns++;
      result.commands += this.#dialogue.turns[turn]?.says.length ?? 0;
      if (!isSettled || direct.end !== null || via.end !== null) break;
      const status = await this.#compareBelief(turn, direct, via, errorsBefore);
      if (this.#fate.turn === turn && this.#fate.kind === 'drain-after') this.#strike();
      if (this.#isFateDue && status !== null) await this.#meetFate(turn, via, (status & 1) !== 0);
    }
    for (const player of [direct, via]) player.leave();
    await Promise.all([direct.closed(), via.closed()]);
    this.#compareBytes(direct, via);
    this.#noteOpaque();
    result.bytes += via.receivedBytes;
  }

  /** What was thrown on behalf of it, be it that the server has crashed. */
  failed(error: unknown): void {
    const { isRunning } = this.#stage.server;
    this.#find(isRunning ? 'it cannot go on' : 'the server has crashed', stackOf(error));
  }

  /** The member is no primary any more, or is gone. */
  #strike(): void {
    const { lab, member } = this.#stage;
    this.#isFateDue = true;
    this.#note(`fate ${this.#fate.kind}`);
    if (this.#fate.kind === 'cut-during') lab.publish();
    else lab.publish({ ...member, role: 'SECONDARY', acceptsWrites: false, primarySessions: 'drain' });
  }

  /** Nothing is under way: the session ends by itself, unless a transaction is open. */
  async #meetFate(turn: number, via: Player, isInTransaction: boolean): Promise<void> {
    if (isInTransaction && this.#fate.kind !== 'cut-during') {
      await pause(100);
      if (via.end !== null && !this.#wasOpaque) this.#find('ended in a transaction', `turn ${turn}`);
      return;
    }
    for (let waited = 0; via.end === null && waited < 1000; waited++) await pause(5);
    if (via.end === null) this.#find('a session that was to end has not', `turn ${turn}`);
    else this.#note(`ended as it was to, ${via.end}`);
  }

  get #hasTls(): boolean {
    return this.#route === 'secured';
  }

  get #wasOpaque(): boolean {
    return this.#stage.lab.posted
      .slice(this.#events)
      .some((message) => message.kind === 'event' && message.event.kind === 'session_opaque');
  }

  /** Until the server has read all there is from both, and both have all it said. */
  async #settle(turn: number, direct: Player, via: Player): Promise<boolean> {
    const startedAtMs = performance.now();
    let before = '';
    for (let same = 0; same < 2; ) {
      const rows = await this.#asleep(direct, via);
      const ends = [direct, via].map((player) =>
        player.end === null ? rows.has(player.connectionId) : true,
      );
      const now = `${direct.receivedBytes} ${via.receivedBytes} ${direct.end} ${via.end}`;
      const isQuiet = ends.every(Boolean) && direct.unsent + via.unsent === 0;
      same = isQuiet && now === before ? same + 1 : 0;
      before = now;
      if (performance.now() - startedAtMs > 8000) {
        this.#find(
          'never settles',
          `turn ${turn}: ${now} asleep: ${[...rows]} of ${direct.connectionId} ${via.connectionId}`,
        );
        return false;
      }
    }
    return true;
  }

  async #asleep(...players: readonly Player[]): Promise<ReadonlySet<number>> {
    const [rows] = await this.#stage.observer.query({
      sql: `SELECT ID FROM ${this.#stage.kind === 'mysql' ? 'performance_schema' : 'information_schema'}.processlist
             WHERE ID IN (?, ?) AND COMMAND = 'Sleep'`,
      values: players.map(({ connectionId }) => connectionId),
      rowsAsArray: true,
    });
    return new Set(Array.isArray(rows) ? rows.map((row) => (Array.isArray(row) ? Number(row[0]) : 0)) : []);
  }

  /** @returns the server's status flags; null where they could not be had */
  async #compareBelief(
    turn: number,
    direct: Player,
    via: Player,
    errorsBefore: number,
  ): Promise<number | null> {
    let wrong = 'session is gone';
    for (let attempt = 0; attempt < 300 && wrong !== '' && via.end === null; attempt++) {
      if (attempt > 0) await pause(5);
      const state = this.#session(via)?.state ?? 'gone';
      const errors = this.#errorsCounted() - errorsBefore;
      if (state === 'opaque') {
        if (this.#dialogue.isValid) this.#find('opaque in a valid dialogue', `turn ${turn}`);
        const [, status] = await Promise.all([direct.ask(), via.ask()]);
        return status;
      }
      wrong = state === 'idle' ? '' : `is ${state} and should be idle`;
      if (wrong === '' && errors !== via.errors.length) wrong = 'counts other errors';
    }
    if (via.end !== null) return null;
    if (wrong !== '') this.#find(wrong, `turn ${turn}: ${via.errors.join()}`);
    const believed = this.#session(via)?.inTransaction;
    const [, status] = await Promise.all([direct.ask(), via.ask()]);
    if (status === null) return null;
    const isOpen = (status & 1) !== 0;
    if (isOpen !== believed) {
      const belief = `transaction ${isOpen ? 'open, believed closed' : 'closed, believed open'}`;
      // Errors do not tell, and neither does what is prepared behind one.
      if (via.hasErred) this.#note(`${belief}, after an error`);
      else this.#find(belief, `turn ${turn}`);
    }
    return status;
  }

  #session(via: Player) {
    const { lab } = this.#stage;
    const from = lab.posted.length;
    lab.thread.receive({ kind: 'list-sessions', requestId: 1, limit: 50 });
    const message = lab.posted.splice(from).find(({ kind }) => kind === 'sessions');
    if (message?.kind !== 'sessions') throw new Error('no answer of the data thread');
    return message.sessions.find(({ client }) => client.endsWith(`:${via.clientPort}`));
  }

  #errorsCounted(): number {
    const { lab } = this.#stage;
    let errors = lab.threadCell('errorsOther');
    for (let cell = 0; cell < ERROR_NUMBER_CELLS; cell++)
      errors += sumCells(lab.counters, 1, THREAD.errorCounts + cell);
    return errors;
  }

  #compareBytes(direct: Player, via: Player): void {
    // The bridge words the authentication anew.
    if ((this.#route === 'bridged' || this.#hasTls) && this.#hasChangeUser) return;
    const [expected, actual] = [direct, via].map((player) => player.transcript(this.#route === 'ruled'));
    if (expected === undefined || actual === undefined) return;
    if (this.#isFateDue && expected.subarray(0, actual.length).equals(actual))
      return this.#judgeEnd(direct, via);
    const isCutShort = [direct, via].some(({ end }) => end === 'reset' || end === 'closed');
    if (expected.equals(actual)) return;
    let at = 0;
    while (at < expected.length && expected[at] === actual[at]) at++;
    if (isCutShort && at === Math.min(expected.length, actual.length)) {
      this.#note('shorter after a reset');
      return;
    }
    const show = (bytes: Buffer) => readable(bytes.subarray(Math.max(0, at - 20), at + 60));
    this.#find(
      `bytes differ (${this.#dialogue.isValid ? 'valid' : 'wild'})`,
      `at ${at} of ${expected.length}/${actual.length}, ends ${direct.end}/${via.end}:\n  direct ${show(expected)}\n  router ${show(actual)}`,
    );
  }

  get #hasChangeUser(): boolean {
    return this.#dialogue.turns.some(({ says }) => says.some((each) => each.startsWith('CHANGE_USER')));
  }

  /** What was received is a beginning of what there was: where has it ended? */
  #judgeEnd(direct: Player, via: Player): void {
    if (this.#fate.kind === 'cut-during' || this.#wasOpaque) return;
    const next = direct.sequenceIds[via.sequenceIds.length] ?? 1;
    if (via.isWithinPacket || next > 2)
      this.#find('ended in an answer', `next ${next}, ${via.isWithinPacket}`);
  }

  #noteOpaque(): void {
    for (const message of this.#stage.lab.posted.splice(this.#events)) {
      if (message.kind !== 'event') continue;
      const { kind, fields } = message.event;
      if (kind !== 'session_opaque') {
        if (kind !== 'session_closed' && kind !== 'session_opened')
          this.#note(`event ${kind} ${fields?.['error'] ?? ''}`);
        continue;
      }
      const reason = `${this.#dialogue.isValid ? 'VALID' : 'wild'} ${JSON.stringify(fields['reason'] ?? fields)}`;
      this.#stage.result.opaque.set(reason, (this.#stage.result.opaque.get(reason) ?? 0) + 1);
    }
  }

  #note(what: string): void {
    this.#stage.result.opaque.set(what, (this.#stage.result.opaque.get(what) ?? 0) + 1);
  }

  #find(kind: string, detail: string): void {
    const { findings } = this.#stage.result;
    const found = findings.get(kind) ?? {
      times: 0,
      first: `seed ${this.#dialogue.seed} ${this.#route} ${this.#fate.kind} at ${this.#fate.turn} caps ${this.#dialogue.capabilities.toString(16)}/${this.#dialogue.mariadbCapabilities} ${detail}\n${this.#dialogue.turns
        .map(({ says }, index) => `   ${index}: ${says.join(' | ').slice(0, 700)}`)
        .join('\n')}`,
    };
    found.times++;
    findings.set(kind, found);
  }
}

function* countFrom(first: number): Generator<number> {
  for (let next = first; ; next++) yield next;
}

function emptyResult(): CampaignResult {
  return {
    dialogues: 0,
    turns: 0,
    commands: 0,
    bytes: 0,
    refusedLogins: 0,
    opaque: new Map(),
    findings: new Map(),
  };
}

async function prepare(observer: Connection, kind: ServerKind): Promise<void> {
  await observer.query('SET SESSION innodb_lock_wait_timeout = 3');
  for (const side of SIDES) {
    await observer.query(`CREATE USER '${side}'@'%'`);
    await observer.query(`GRANT ALL ON *.* TO '${side}'@'%'`);
    await observer.query(`CREATE DATABASE ${side}; USE ${side}`);
    for (const statement of SCHEMA) await observer.query(statement);
  }
  await observer.query('SET GLOBAL log_bin_trust_function_creators = 1');
  if (kind === 'mariadb') await observer.query('SET GLOBAL progress_report_time = 0');
}

/** Tables as they were, nobody there but us, and no XA transactions left. */
async function reset({ observer, kind }: Stage): Promise<void> {
  const table = `${kind === 'mysql' ? 'performance_schema' : 'information_schema'}.processlist`;
  for (let waited = 0; ; waited++) {
    const [rows] = await observer.query({
      sql: `SELECT ID FROM ${table} WHERE USER IN ('${SIDES.join("','")}')`,
      rowsAsArray: true,
    });
    const ids = Array.isArray(rows)
      ? rows.flatMap((row) => (Array.isArray(row) ? [Number(row[0])] : []))
      : [];
    if (ids.length === 0) break;
    if (waited > 50) for (const id of ids) await unless(ER_NO_SUCH_THREAD, observer.query(`KILL ${id}`));
    await pause(waited > 50 ? 20 : 1);
  }
  const [prepared] = await observer.query('XA RECOVER');
  for (const row of Array.isArray(prepared) ? prepared : []) {
    if ('data' in row) await unless(ER_XAER_NOTA, observer.query(`XA ROLLBACK '${row['data']}'`));
  }
  for (const side of SIDES) {
    await observer.query(
      `USE ${side}; DELETE FROM t; INSERT INTO t VALUES (1, 'a'), (2, ''), (3, NULL), (4, 'd');
       DELETE FROM small; DELETE FROM my; DELETE FROM trg; DELETE FROM loaded; DELETE FROM keyed`,
    );
  }
}

/** @throws any other error than the one of that number */
async function unless(number: number, query: Promise<unknown>): Promise<void> {
  try {
    await query;
  } catch (error) {
    if (!(error instanceof Error && 'errno' in error && error.errno === number)) throw error;
  }
}

const ER_NO_SUCH_THREAD = 1094;
const ER_XAER_NOTA = 1397;
