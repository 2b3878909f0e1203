/**
 * What the first packets of an answer announce, and the run of ordinary rows behind them: reading only, no state.
 */
import { COM_CHANGE_USER, COM_CLONE, COM_SUBSCRIBE_GROUP_REPLICATION_STREAM } from '../commands.ts';
import {
  MAX_PAYLOAD_BYTES,
  nextSequenceId,
  PACKET_HEADER_BYTES,
  readPayloadBytes,
} from '../packet-header.ts';
import { FLAGS_METADATA, FLAGS_PREPARE_METADATA } from './dialect.ts';
import { lengthEncodedIntegerBytes, MALFORMED, readUint16 } from './packet-heads.ts';
import { firstPhase, PHASE_RESULT } from './response-phases.ts';
import type { SessionFacts } from './session-facts.ts';

/**
 * The definitions that follow `column_count int<lenenc>`, behind which one byte says, where definitions are optional,
 * whether they were left out. MALFORMED when the packet is anything else.
 */
export function readDefinitionCount(
  dialect: number,
  buffer: Uint8Array,
  offset: number,
  length: number,
  first: number,
): number {
  const countBytes = lengthEncodedIntegerBytes(first);
  const hasFlag = (dialect & FLAGS_METADATA) !== 0;
  if (length !== countBytes + (hasFlag ? 1 : 0)) return MALFORMED;
  if (hasFlag && buffer[offset + countBytes] === 0) return 0;
  if (countBytes === 3) return readUint16(buffer, offset + 1);
  return countBytes === 4 ? readPayloadBytes(buffer, offset + 1) : first;
}

/** Whether the head of COM_STMT_PREPARE's answer says that definitions were left out. */
export function areDefinitionsLeftOut(
  dialect: number,
  buffer: Uint8Array,
  offset: number,
  length: number,
): boolean {
  return (dialect & FLAGS_PREPARE_METADATA) !== 0 && length > 12 && buffer[offset + 12] === 0;
}

/**
 * The hot loop of large results: passes whole runs of ordinary rows that begin with `sequence`, stops before anything
 * else, and counts them. Returns the position after the last row, which is beyond `end` when that row is cut.
 */
export function passOrdinaryRows(
  facts: SessionFacts,
  buffer: Uint8Array,
  start: number,
  end: number,
  sequence: number,
): number {
  let position = start;
  let rows = 0;
  while (end - position > PACKET_HEADER_BYTES) {
    const length = readPayloadBytes(buffer, position);
    const isOrdinary = length > 0 && length < MAX_PAYLOAD_BYTES && (buffer[position + 4] ?? 0xff) < 0xfe;
    if (!isOrdinary || buffer[position + 3] !== sequence) break;
    sequence = nextSequenceId(sequence);
    rows++;
    position += PACKET_HEADER_BYTES + length;
  }
  facts.rows += rows;
  facts.responseBytes += position - start;
  return position;
}

/** Whether a `command` that fails may have begun or ended a transaction before. */
export function mayChangeTransaction(command: number): boolean {
  return firstPhase(command) === PHASE_RESULT || command === COM_CHANGE_USER;
}

/** Whether the connection speaks something else once `command` is accepted. */
export function isForeignProtocol(command: number): boolean {
  return command === COM_CLONE || command === COM_SUBSCRIBE_GROUP_REPLICATION_STREAM;
}

/** AuthSwitchRequest, AuthMoreData, AuthNextFactor, by their first byte. */
export function isAuthenticationRequest(first: number): boolean {
  return first === 0xfe || first === 0x01 || first === 0x02;
}
