import { Buffer, isUtf8 } from 'node:buffer';
import { Cursor } from './cursor.ts';
import { CLIENT_HANDSHAKE_FAULT } from './errors.ts';
import { Writer } from './writer.ts';

/**
 * Connection attributes, as in HandshakeResponse41 and COM_CHANGE_USER: `string<lenenc> key, string<lenenc> value`, again and
 * again. They are handed on as they came, and become texts only for whoever wants to read them: a client sends eight and more,
 * and making texts of them costs more than all the rest of its first packet.
 */
export interface ConnectionAttribute {
  readonly name: string;
  readonly value: string;
}

/** Texts that are no UTF-8 are read as Latin-1. @throws ProtocolError ER_HANDSHAKE_ERROR */
export function decodeConnectionAttributes(block: Uint8Array): readonly ConnectionAttribute[] {
  return pairsIn(block).map(({ name, value }) => ({ name: textOf(name), value: textOf(value) }));
}

export function encodeConnectionAttributes(attributes: readonly ConnectionAttribute[]): Buffer {
  return writeAttributes(new Writer(128), attributes).finish();
}

/** @throws ProtocolError ER_HANDSHAKE_ERROR when a length does not fit */
export function checkConnectionAttributes(block: Uint8Array): void {
  const cursor = new Cursor(block, PACKET_NAME, CLIENT_HANDSHAKE_FAULT);
  while (cursor.remainingBytes > 0) {
    cursor.skipLenencBytes('key');
    cursor.skipLenencBytes('value');
  }
}

/**
 * `block` with `attributes` at its end, and without what it had by one of `names`, in whatever case.
 *
 * @param names in lower case, up to 250 characters of ASCII
 *
 * @throws ProtocolError ER_HANDSHAKE_ERROR
 */
export function replaceConnectionAttributes(
  block: Buffer,
  names: readonly string[],
  attributes: readonly ConnectionAttribute[],
): Buffer {
  const writer = new Writer(block.length + 128);
  const cursor = new Cursor(block, PACKET_NAME, CLIENT_HANDSHAKE_FAULT);
  let kept = 0;
  while (cursor.remainingBytes > 0) {
    const start = block.length - cursor.remainingBytes;
    cursor.skipLenencBytes('key');
    const nameEnd = block.length - cursor.remainingBytes;
    cursor.skipLenencBytes('value');
    if (!isOneOf(names, block, start, nameEnd)) continue;
    writer.writeBytes(block.subarray(kept, start));
    kept = block.length - cursor.remainingBytes;
  }
  writer.writeBytes(kept === 0 ? block : block.subarray(kept));
  return writeAttributes(writer, attributes).finish();
}

/** Of a name that short, the length takes one byte. Only a name of a fitting length is made a text. */
function isOneOf(names: readonly string[], block: Buffer, start: number, end: number): boolean {
  const length = end - start - 1;
  if (!names.some((name) => name.length === length)) return false;
  return names.includes(block.toString('latin1', start + 1, end).toLowerCase());
}

function pairsIn(block: Uint8Array): readonly { readonly name: Buffer; readonly value: Buffer }[] {
  const cursor = new Cursor(block, PACKET_NAME, CLIENT_HANDSHAKE_FAULT);
  const pairs: { readonly name: Buffer; readonly value: Buffer }[] = [];
  while (cursor.remainingBytes > 0) {
    const name = cursor.readLenencBytes('key');
    pairs.push({ name, value: cursor.readLenencBytes('value') });
  }
  return pairs;
}

function writeAttributes(writer: Writer, attributes: readonly ConnectionAttribute[]): Writer {
  for (const { name, value } of attributes) {
    writer.writeLenencBytes(Buffer.from(name)).writeLenencBytes(Buffer.from(value));
  }
  return writer;
}

function textOf(bytes: Buffer): string {
  return bytes.toString(isUtf8(bytes) ? 'utf8' : 'latin1');
}

const PACKET_NAME = 'HandshakeResponse41 attributes';
