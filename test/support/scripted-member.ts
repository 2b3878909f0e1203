/**
 * A server without data that answers what a member is asked, and `SELECT @@port` of clients: for stories with more members
 * than a machine has room for. It is a plain server; who it is and whether it is read-only the test says.
 */
import { Buffer } from 'node:buffer';
import {
  CLIENT_CONNECT_ATTRS,
  CLIENT_PLUGIN_AUTH,
  CLIENT_PROTOCOL_41,
  CLIENT_SECURE_CONNECTION,
  CLIENT_TRANSACTIONS,
} from '../../protocol/capability-flags.ts';
import { encodeEofPacket } from '../../protocol/eof-packet.ts';
import { SERVER_STATUS_AUTOCOMMIT } from '../../protocol/status-flags.ts';
import { Writer } from '../../protocol/writer.ts';
import { ScriptedServer, type ServerPeer } from './scripted-server.ts';

type Row = Readonly<Record<string, string>>;

export class ScriptedMember {
  readonly uuid: string;
  isReadOnly: boolean;
  /** False for one that lets clients connect and then says nothing. */
  greets = true;
  readonly #server: ScriptedServer;

  private constructor(uuid: string, isReadOnly: boolean, server: ScriptedServer) {
    this.uuid = uuid;
    this.isReadOnly = isReadOnly;
    this.#server = server;
  }

  /** @param place default: any port of 127.0.0.1 */
  static async start(
    index: number,
    isReadOnly: boolean,
    place: { readonly host?: string; readonly port?: number } = {},
  ): Promise<ScriptedMember> {
    const uuid = `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`;
    const server = await ScriptedServer.start((peer) => member.#serve(peer), place.host, place.port);
    const member: ScriptedMember = new ScriptedMember(uuid, isReadOnly, server);
    return member;
  }

  get port(): number {
    return this.#server.port;
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  async #serve(peer: ServerPeer): Promise<void> {
    if (!this.greets || !(await peer.logIn(MEMBER_CAPABILITIES))) return;
    await peer.answerCommands(({ payload }) => {
      const rows = payload[0] === COM_QUERY ? this.#answer(payload.toString('utf8', 1)) : null;
      if (rows === null) peer.ok(1);
      else sendRows(peer, rows);
    });
  }

  /** Null where OK is all there is to say. */
  #answer(sql: string): readonly Row[] | null {
    if (sql.startsWith('SHOW GLOBAL VARIABLES')) {
      return [
        { Variable_name: 'server_uuid', Value: this.uuid },
        { Variable_name: 'super_read_only', Value: 'OFF' },
        { Variable_name: 'version', Value: '9.7.0' },
      ];
    }
    if (sql.includes('AS serverUuid')) {
      const readOnly = this.isReadOnly ? '1' : '0';
      return [
        {
          serverUuid: this.uuid,
          serverId: '1',
          version: '9.7.0',
          readOnly,
          innodbReadOnly: '0',
          superReadOnly: readOnly,
          mysqlxGreets: '0',
        },
      ];
    }
    if (sql === 'SELECT @@port') return [{ '@@port': String(this.port) }];
    return null;
  }
}

/** Each column as text. */
export function sendRows(peer: ServerPeer, rows: readonly Row[]): void {
  const names = Object.keys(rows[0] ?? {});
  const eof = encodeEofPacket({ warnings: 0, statusFlags: SERVER_STATUS_AUTOCOMMIT });
  const payloads = [
    new Writer().writeLenencInt(names.length).finish(),
    ...names.map(columnDefinition),
    eof,
    ...rows.map((row) =>
      names.reduce((writer, name) => text(writer, row[name] ?? ''), new Writer()).finish(),
    ),
    eof,
  ];
  for (const [index, payload] of payloads.entries()) peer.send(index + 1, payload);
}

/** Protocol::ColumnDefinition41 of a text. */
function columnDefinition(name: string): Buffer {
  const writer = new Writer();
  for (const part of ['def', '', '', '', name, name]) text(writer, part);
  return writer
    .writeLenencInt(12)
    .writeUint2(UTF8MB4)
    .writeUint4(1024)
    .writeUint1(MYSQL_TYPE_VAR_STRING)
    .writeUint2(0)
    .writeUint1(0)
    .writeZeros(2)
    .finish();
}

function text(writer: Writer, value: string): Writer {
  return writer.writeLenencBytes(Buffer.from(value, 'utf8'));
}

const COM_QUERY = 3;
const UTF8MB4 = 45;
const MYSQL_TYPE_VAR_STRING = 0xfd;
const CLIENT_LONG_PASSWORD = 1;
const CLIENT_MULTI_STATEMENTS = 0x01_00_00;
const CLIENT_MULTI_RESULTS = 0x02_00_00;
/** Without CLIENT_DEPRECATE_EOF, which the rows go by. */
export const MEMBER_CAPABILITIES =
  (CLIENT_LONG_PASSWORD |
    CLIENT_PROTOCOL_41 |
    CLIENT_TRANSACTIONS |
    CLIENT_SECURE_CONNECTION |
    CLIENT_PLUGIN_AUTH |
    CLIENT_CONNECT_ATTRS |
    CLIENT_MULTI_STATEMENTS |
    CLIENT_MULTI_RESULTS) >>>
  0;
