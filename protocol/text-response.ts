import type { Buffer } from 'node:buffer';
import { Cursor } from './cursor.ts';
import { decodeEofPacket, EOF_BYTES, EOF_HEADER } from './eof-packet.ts';
import { decodeErrPacket, ERR_HEADER, type ErrPacket } from './err-packet.ts';
import { ProtocolError, SERVER_FAULT } from './errors.ts';
import { decodeOkPacketHead, OK_HEADER } from './ok-packet.ts';
import { type GatheredPacket, PacketGatherer } from './packet-gatherer.ts';
import { nextSequenceId } from './packet-header.ts';
import { SERVER_MORE_RESULTS_EXISTS } from './status-flags.ts';

/**
 * The response to a COM_QUERY of one or several statements, each of which is answered by
 *
 *     ERR_Packet                          and nothing behind it
 *     OK_Packet                           a statement without rows
 *     int<lenenc>                         column_count, then
 *       ColumnDefinition41 × column_count
 *       EOF_Packet
 *       ProtocolText::ResultsetRow × n
 *       EOF_Packet, or ERR_Packet
 *
 * until a status without SERVER_MORE_RESULTS_EXISTS. CLIENT_PROTOCOL_41 is taken for granted, and neither
 * CLIENT_DEPRECATE_EOF nor CLIENT_OPTIONAL_RESULTSET_METADATA may have been agreed upon.
 */
export type TextResponse =
  /** One for each statement, empty for one without rows. */
  | { readonly kind: 'tables'; readonly tables: readonly TextTable[] }
  /** The statements before it were answered; what they said is gone. */
  | { readonly kind: 'error'; readonly err: ErrPacket };

export type TextTable = readonly TextRow[];

/** By the columns' names; of two of one name the last counts. */
export type TextRow = Readonly<Record<string, string | null>>;

/** Reads one response out of chunks cut anywhere. After a `ProtocolError` it must be discarded. */
export class TextResponseReader {
  readonly #gatherer: PacketGatherer;
  readonly #tables: TextTable[] = [];
  #columns: string[] = [];
  #rows: TextRow[] = [];
  #awaited: Awaited = 'first-packet';
  #columnsLeft = 0;
  #bytesLeft: number;
  #sequenceId = 0;

  /** `maxBytes` counts the whole response. */
  constructor(maxBytes: number) {
    this.#bytesLeft = maxBytes;
    this.#gatherer = new PacketGatherer({ maxPayloadBytes: maxBytes, side: 'server' });
  }

  /**
   * Reads on; null while the response is not complete.
   *
   * @throws ProtocolError when this is no response, is longer than allowed, or goes on behind its end
   */
  push(chunk: Uint8Array): TextResponse | null {
    this.#bytesLeft -= chunk.length;
    if (this.#bytesLeft < 0) {
      throw new ProtocolError(
        { code: 'ER_NET_PACKET_TOO_LARGE', side: 'server' },
        'the response is too long',
      );
    }
    let offset = 0;
    while (offset < chunk.length) {
      offset = this.#gatherer.advance(chunk, offset);
      const { packet } = this.#gatherer;
      const response = packet === undefined ? null : this.#take(packet);
      if (response === null) continue;
      if (offset < chunk.length) throw malformed(`${chunk.length - offset} bytes behind its end`);
      return response;
    }
    return null;
  }

  #take({ payload, sequenceId, lastSequenceId }: GatheredPacket): TextResponse | null {
    const first = payload[0];
    if (first === undefined) throw malformed('an empty packet');
    // A server that ends the session says so out of order.
    if (first === ERR_HEADER) return { kind: 'error', err: decodeErrPacket(payload) };
    if (sequenceId !== nextSequenceId(this.#sequenceId)) {
      const fault = { code: 'ER_NET_PACKETS_OUT_OF_ORDER', side: 'server' } as const;
      throw new ProtocolError(fault, `sequence id ${sequenceId} follows ${this.#sequenceId}`);
    }
    this.#sequenceId = lastSequenceId;
    switch (this.#awaited) {
      case 'first-packet':
        return this.#takeFirst(payload, first);
      case 'column':
        this.#columns.push(columnNameIn(payload));
        if (--this.#columnsLeft === 0) this.#awaited = 'end-of-columns';
        return null;
      case 'end-of-columns':
        decodeEofPacket(payload);
        this.#awaited = 'row';
        return null;
      case 'row':
        if (first === EOF_HEADER && payload.length <= EOF_BYTES) {
          return this.#endTable(decodeEofPacket(payload).statusFlags);
        }
        this.#rows.push(rowIn(payload, this.#columns));
        return null;
      default:
        return this.#awaited satisfies never;
    }
  }

  #takeFirst(payload: Buffer, first: number): TextResponse | null {
    if (first === OK_HEADER) return this.#endTable(decodeOkPacketHead(payload).statusFlags);
    // 0xfb, a request for a file, is no length and fails here.
    const columns = new Cursor(payload, 'column count', SERVER_FAULT).readLenencInt('column_count');
    if (columns > MAX_COLUMNS) throw malformed(`${columns} columns`);
    this.#columnsLeft = Number(columns);
    this.#awaited = 'column';
    return null;
  }

  #endTable(statusFlags: number): TextResponse | null {
    this.#tables.push(this.#rows);
    this.#columns = [];
    this.#rows = [];
    this.#awaited = 'first-packet';
    const isLast = (statusFlags & SERVER_MORE_RESULTS_EXISTS) === 0;
    return isLast ? { kind: 'tables', tables: this.#tables } : null;
  }
}

type Awaited = 'first-packet' | 'column' | 'end-of-columns' | 'row';

/** Column_definition41: catalog, schema, table and org_table stand before the name. */
function columnNameIn(payload: Buffer): string {
  const cursor = new Cursor(payload, 'ColumnDefinition41', SERVER_FAULT);
  for (const field of ['catalog', 'schema', 'table', 'org_table']) cursor.skipLenencBytes(field);
  return cursor.readLenencBytes('name').toString('utf8');
}

function rowIn(payload: Buffer, columns: readonly string[]): TextRow {
  const cursor = new Cursor(payload, 'ResultsetRow', SERVER_FAULT);
  const row: Record<string, string | null> = {};
  for (const column of columns) {
    if (cursor.peekUint1() === NULL_VALUE) {
      cursor.skip(1, column);
      row[column] = null;
    } else row[column] = cursor.readLenencBytes(column).toString('utf8');
  }
  if (cursor.remainingBytes > 0) cursor.fail(`${cursor.remainingBytes} bytes behind the last column`);
  return row;
}

function malformed(what: string): ProtocolError {
  return new ProtocolError(SERVER_FAULT, `response to a query: ${what}`);
}

const NULL_VALUE = 0xfb;
/** As many as a table can have. */
const MAX_COLUMNS = 4096n;
