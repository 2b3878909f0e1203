/**
 * A dialogue: everything a raw client says to a server, made of random numbers. Most of it makes sense, some of it does not.
 *
 * It is written down once and played twice, so nothing in it may depend on who plays it: names that have to differ between
 * the two players contain `OWN`, which each replaces by a name of its own of the same length.
 */
import { Buffer } from 'node:buffer';
import * as flags from '../../../protocol/capability-flags.ts';
import { COMMANDS } from '../../../protocol/commands.ts';
import { encodePacket } from '../../../protocol/packet-header.ts';
import type { Random } from '../random.ts';
import { statement } from './statements.ts';

export const OWN = 'fz_own';

export type ServerKind = 'mysql' | 'mariadb';

export type Turn = {
  /** What is sent without waiting for an answer. */
  readonly bytes: Buffer;
  /** Where it is cut, in ascending order; the pieces are sent one after the other. */
  readonly cuts: readonly number[];
  readonly pauseMs: number;
  /** Each command, for people. */
  readonly says: readonly string[];
};

export type Dialogue = {
  readonly seed: number;
  readonly capabilities: number;
  readonly mariadbCapabilities: number;
  readonly plugin: string;
  readonly turns: readonly Turn[];
  /** What the client answers when it is asked to authenticate again, by turns. */
  readonly authAnswers: readonly Buffer[];
  /** The file for LOAD DATA LOCAL, in packets; an empty one follows. */
  readonly file: readonly Buffer[];
  readonly end: 'quit' | 'fin' | 'reset';
  /** Nothing in it is against the protocol: the tracker has to follow it to its end. */
  readonly isValid: boolean;
};

export function createDialogue(random: Random, seed: number, server: ServerKind): Dialogue {
  const capabilities = randomCapabilities(random, server);
  const mariadbCapabilities = server === 'mariadb' ? randomSubset(random, MARIADB_OPTIONAL) : 0;
  const speaker = new Speaker(random, server, capabilities, random.chance(0.35));
  const turns: Turn[] = [];
  for (let count = 1 + random.below(8); turns.length < count; ) turns.push(speaker.turn());
  return {
    seed,
    capabilities,
    mariadbCapabilities,
    plugin: random.chance(0.85)
      ? server === 'mysql'
        ? 'caching_sha2_password'
        : 'mysql_native_password'
      : pick(random, PLUGINS),
    turns,
    authAnswers: Array.from({ length: 4 }, () => pick(random, AUTH_ANSWERS)),
    file: randomFile(random),
    end: pick(random, ['quit', 'quit', 'fin', 'reset']),
    isValid: speaker.isValid,
  };
}

class Speaker {
  readonly #random: Random;
  readonly #server: ServerKind;
  readonly #capabilities: number;
  readonly #isWild: boolean;
  #statements = 0;
  isValid = true;

  constructor(random: Random, server: ServerKind, capabilities: number, isWild: boolean) {
    this.#random = random;
    this.#server = server;
    this.#capabilities = capabilities;
    this.#isWild = isWild;
  }

  turn(): Turn {
    const random = this.#random;
    const says: string[] = [];
    const packets: Buffer[] = [];
    const pipelined = random.chance(0.3) ? 1 + random.below(12) : 1;
    for (let index = 0; index < pipelined; index++) {
      const [name, packet] = this.#command(pipelined > 1);
      says.push(name);
      packets.push(packet);
    }
    const bytes = Buffer.concat(packets);
    const cuts: number[] = [];
    if (random.chance(0.4))
      for (let cut = random.below(4); cut >= 0; cut--)
        cuts.push(random.below(Math.min(bytes.length, 100_000)));
    if (random.chance(0.1)) cuts.push(1, 2, 3, 4, 5);
    cuts.sort((one, other) => one - other);
    return { bytes, cuts, pauseMs: random.chance(0.2) ? random.below(4) : 0, says };
  }

  #command(isPipelined: boolean): [string, Buffer] {
    const random = this.#random;
    if (this.#isWild && random.chance(0.08)) return this.#nonsense();
    const dice = random.below(100);
    if (dice < 52) return this.#query(isPipelined);
    if (dice < 76) return this.#prepared(isPipelined);
    if (dice < 80) return this.#changeUser(isPipelined);
    return this.#simple();
  }

  #query(isPipelined: boolean): [string, Buffer] {
    const random = this.#random;
    const isMulti = (this.#capabilities & flags.CLIENT_MULTI_STATEMENTS) !== 0 && random.chance(0.3);
    const texts = Array.from({ length: isMulti ? 2 + random.below(4) : 1 }, () =>
      statement(random, this.#server, isPipelined),
    );
    const text = texts.join(random.chance(0.2) ? ';; ' : '; ');
    return [text, this.#packet(COMMANDS.COM_QUERY, Buffer.concat([this.#attributes(), Buffer.from(text)]))];
  }

  /** In front of a statement's text, where query attributes were agreed. */
  #attributes(): Buffer {
    if (this.#server !== 'mysql' || (this.#capabilities & flags.CLIENT_QUERY_ATTRIBUTES) === 0) return EMPTY;
    if (this.#random.chance(0.7)) return Buffer.of(0, 1);
    // One attribute "k" with the text "v".
    return Buffer.of(1, 1, 0, 1, 0xfe, 0, 1, 0x6b, 1, 0x76);
  }

  #prepared(isPipelined: boolean): [string, Buffer] {
    const random = this.#random;
    const kind = random.below(8);
    const isExecution = kind > 4;
    // MariaDB numbers statements as it likes, and executes -1 as the one that was prepared last.
    const id =
      this.#server === 'mariadb' && isExecution ? 0xffff_ffff : 1 + random.below(this.#statements + 1);
    const idBytes = Buffer.alloc(4);
    idBytes.writeUInt32LE(id);
    switch (kind) {
      case 0:
      case 1: {
        this.#statements++;
        const text = random.chance(0.6)
          ? pick(random, PARAMETERISED)
          : statement(random, this.#server, isPipelined);
        return [
          `PREPARE ${this.#statements}: ${text}`,
          this.#packet(COMMANDS.COM_STMT_PREPARE, Buffer.from(text)),
        ];
      }
      case 2:
        return [
          `FETCH ${id}`,
          this.#packet(
            COMMANDS.COM_STMT_FETCH,
            Buffer.concat([idBytes, Buffer.of(random.below(200), 0, 0, 0)]),
          ),
        ];
      case 3:
        if (random.chance(0.5)) return [`RESET ${id}`, this.#packet(COMMANDS.COM_STMT_RESET, idBytes)];
        return [`CLOSE ${id}`, this.#packet(COMMANDS.COM_STMT_CLOSE, idBytes)];
      case 4: {
        const data = Buffer.alloc(random.below(2) === 0 ? 5 : random.below(70_000), 'd');
        return [
          `LONG_DATA ${id}`,
          this.#packet(COMMANDS.COM_STMT_SEND_LONG_DATA, Buffer.concat([idBytes, Buffer.of(0, 0), data])),
        ];
      }
      default:
        return this.#execute(id, idBytes);
    }
  }

  #execute(id: number, idBytes: Buffer): [string, Buffer] {
    const random = this.#random;
    // Where a statement with an open cursor is executed without one, mysqld 9.7 ends the rows, of which it sends none, in an OK
    // that looks like a row: no client can tell.
    const cursor = this.#server === 'mysql' ? id % 2 : this.#isWild ? 1 : 0;
    const parameters = random.below(4) === 0 ? 0 : 1;
    const hasAttributes =
      this.#server === 'mysql' && (this.#capabilities & flags.CLIENT_QUERY_ATTRIBUTES) !== 0;
    const parts = [idBytes, Buffer.of(hasAttributes ? cursor | 8 : cursor, 1, 0, 0, 0)];
    if (hasAttributes) parts.push(Buffer.of(parameters));
    if (parameters === 1) {
      parts.push(Buffer.of(0, 1, 8, 0));
      if (hasAttributes) parts.push(Buffer.of(0));
      parts.push(Buffer.of(random.below(250), random.below(4), 0, 0, 0, 0, 0, 0));
    }
    return [
      `EXECUTE ${id} cursor=${cursor} parameters=${parameters}`,
      this.#packet(COMMANDS.COM_STMT_EXECUTE, Buffer.concat(parts)),
    ];
  }

  #changeUser(isPipelined: boolean): [string, Buffer] {
    const random = this.#random;
    // What is sent behind it may be taken for an answer to the server's question.
    if (isPipelined) return this.#simple();
    this.#statements = 0;
    const isWrong = random.chance(0.3);
    const user = isWrong ? pick(random, ['nobody', OWN, '']) : OWN;
    const response = isWrong ? Buffer.alloc(random.below(33), 7) : EMPTY;
    const hasPlugin = (this.#capabilities & flags.CLIENT_PLUGIN_AUTH) !== 0;
    const parts = [Buffer.from(`${user}\0`)];
    if ((this.#capabilities & flags.CLIENT_SECURE_CONNECTION) !== 0)
      parts.push(Buffer.of(response.length), response);
    else parts.push(Buffer.of(0));
    parts.push(
      Buffer.from(`${random.chance(0.7) ? OWN : random.chance(0.5) ? '' : 'nowhere'}\0`),
      Buffer.of(255, 0),
    );
    const plugin = pick(random, PLUGINS);
    if (hasPlugin) {
      parts.push(Buffer.from(`${plugin}\0`));
      if ((this.#capabilities & flags.CLIENT_CONNECT_ATTRS) !== 0) parts.push(Buffer.from('\x04\x01a\x01b'));
    }
    return [`CHANGE_USER ${user} ${plugin}`, this.#packet(COMMANDS.COM_CHANGE_USER, Buffer.concat(parts))];
  }

  #simple(): [string, Buffer] {
    const random = this.#random;
    const [command, payload] = pick<readonly [number, string]>(random, [
      [COMMANDS.COM_PING, ''],
      [COMMANDS.COM_PING, 'more'],
      [COMMANDS.COM_INIT_DB, OWN],
      [COMMANDS.COM_INIT_DB, 'nowhere'],
      [COMMANDS.COM_FIELD_LIST, 't\0'],
      [COMMANDS.COM_FIELD_LIST, 'large\0v%'],
      [COMMANDS.COM_FIELD_LIST, 'absent\0'],
      [COMMANDS.COM_STATISTICS, ''],
      [COMMANDS.COM_DEBUG, ''],
      [COMMANDS.COM_SET_OPTION, '\0\0'],
      [COMMANDS.COM_SET_OPTION, '\x01\0'],
      [COMMANDS.COM_SET_OPTION, '\x07\0'],
      [COMMANDS.COM_RESET_CONNECTION, ''],
      [COMMANDS.COM_REFRESH, '\x01'],
      [COMMANDS.COM_PROCESS_KILL, '\xff\xff\xff\x7f'],
      [COMMANDS.COM_SLEEP, ''],
      [COMMANDS.COM_CONNECT, ''],
      [COMMANDS.COM_TIME, ''],
      [COMMANDS.COM_DELAYED_INSERT, 'x'],
      [COMMANDS.COM_TABLE_DUMP, 'x'],
      [COMMANDS.COM_DAEMON, ''],
      [COMMANDS.COM_REGISTER_SLAVE, '\x63\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'],
    ]);
    if (command === COMMANDS.COM_RESET_CONNECTION) this.#statements = 0;
    return [
      `COM ${command} ${JSON.stringify(payload)}`,
      this.#packet(command, Buffer.from(payload, 'latin1')),
    ];
  }

  #nonsense(): [string, Buffer] {
    const random = this.#random;
    this.isValid = false;
    const dice = random.below(7);
    if (dice === 0) return ['empty packet', encodePacket(EMPTY, 0)];
    if (dice === 1)
      return ['wrong sequence id', encodePacket(Buffer.from('\x03SELECT 1'), 1 + random.below(255))];
    if (dice === 2)
      return ['truncated close', this.#packet(COMMANDS.COM_STMT_CLOSE, Buffer.alloc(random.below(4), 1))];
    if (dice === 3)
      return [
        'truncated long data',
        this.#packet(COMMANDS.COM_STMT_SEND_LONG_DATA, Buffer.alloc(random.below(6), 1)),
      ];
    if (dice === 4) {
      const command = pick(random, TRUNCATABLE);
      return [
        `truncated ${command}`,
        this.#packet(command, Buffer.alloc(random.below(9), random.below(256))),
      ];
    }
    if (dice === 5 && random.chance(0.3)) return ['large', encodeLarge(1_200_000, random)];
    if (dice === 5) return ['huge', encodeLarge(0xff_ffff + random.below(3) - 1, random)];
    const command = 0x22 + random.below(0xd0);
    return [`unknown ${command}`, this.#packet(command, Buffer.from('x'))];
  }

  #packet(command: number, payload: Buffer): Buffer {
    return encodePacket(Buffer.concat([Buffer.of(command), payload]), 0);
  }
}

/** A SELECT that is as long as one packet may be, or needs a second. */
function encodeLarge(payloadBytes: number, random: Random): Buffer {
  const payload = Buffer.alloc(payloadBytes, ' ');
  payload.write('\x03SELECT 1');
  const first = encodePacket(payload.subarray(0, 0xff_ffff), 0);
  if (payload.length < 0xff_ffff) return first;
  const rest = payload.subarray(0xff_ffff);
  return Buffer.concat([first, encodePacket(rest, random.chance(0.8) ? 1 : random.below(9))]);
}

function randomCapabilities(random: Random, server: ServerKind): number {
  let capabilities = BASE;
  if (server === 'mysql') capabilities |= flags.CLIENT_LONG_PASSWORD;
  for (const flag of OPTIONAL) if (random.chance(0.5)) capabilities |= flag;
  if (random.chance(0.99)) capabilities |= flags.CLIENT_PLUGIN_AUTH;
  return capabilities >>> 0;
}

function randomSubset(random: Random, all: readonly number[]): number {
  return all.reduce((set, flag) => (random.chance(0.5) ? set | flag : set), 0) >>> 0;
}

function randomFile(random: Random): readonly Buffer[] {
  const parts = random.below(5);
  return Array.from({ length: parts }, (_, part) => {
    if (random.chance(0.1)) return Buffer.from('not a number\n');
    let lines = '';
    for (let line = random.below(random.chance(0.1) ? 5000 : 20); line >= 0; line--)
      lines += `${part},${line}\n`;
    return Buffer.from(lines);
  });
}

export function pick<T>(random: Random, from: readonly T[]): T {
  const picked = from[random.below(from.length)];
  if (picked === undefined) throw new RangeError('nothing to pick from');
  return picked;
}

const EMPTY = Buffer.alloc(0);
const BASE =
  flags.CLIENT_PROTOCOL_41 |
  flags.CLIENT_SECURE_CONNECTION |
  flags.CLIENT_TRANSACTIONS |
  flags.CLIENT_CONNECT_WITH_DB |
  flags.CLIENT_LONG_FLAG;
const OPTIONAL = [
  flags.CLIENT_DEPRECATE_EOF,
  flags.CLIENT_OPTIONAL_RESULTSET_METADATA,
  flags.CLIENT_QUERY_ATTRIBUTES,
  flags.CLIENT_SESSION_TRACK,
  flags.CLIENT_MULTI_STATEMENTS,
  flags.CLIENT_MULTI_RESULTS,
  flags.CLIENT_PS_MULTI_RESULTS,
  flags.CLIENT_LOCAL_FILES,
  flags.CLIENT_FOUND_ROWS,
  flags.CLIENT_CONNECT_ATTRS,
  flags.CLIENT_PLUGIN_AUTH_LENENC_CLIENT_DATA,
  flags.CLIENT_INTERACTIVE,
  flags.CLIENT_CAN_HANDLE_EXPIRED_PASSWORDS,
] as const;
const MARIADB_OPTIONAL = [
  flags.MARIADB_CLIENT_PROGRESS,
  flags.MARIADB_CLIENT_STMT_BULK_OPERATIONS,
  flags.MARIADB_CLIENT_EXTENDED_METADATA,
  flags.MARIADB_CLIENT_CACHE_METADATA,
  flags.MARIADB_CLIENT_BULK_UNIT_RESULTS,
];
const PLUGINS = [
  'caching_sha2_password',
  'mysql_native_password',
  'sha256_password',
  'mysql_clear_password',
  'nonsense',
];
const AUTH_ANSWERS = [
  EMPTY,
  Buffer.of(0),
  Buffer.of(0),
  Buffer.of(2),
  Buffer.alloc(20, 5),
  Buffer.from('secret\0'),
];
const PARAMETERISED = [
  'SELECT id, v FROM large WHERE id < ?',
  'SELECT ?, v FROM t',
  'INSERT INTO t VALUES (?, 1)',
  'UPDATE t SET v = ? WHERE id = 1',
  'CALL p_out(?, @b)',
  'CALL p_inout(?)',
  'SELECT * FROM t WHERE id = ? FOR UPDATE',
  'DELETE FROM t WHERE id > ?',
  'SELECT EXP(id + ?) FROM large',
];
const TRUNCATABLE = [0x02, 0x03, 0x04, 0x15, 0x16, 0x17, 0x1a, 0x1b, 0x1c, 0x1f];
