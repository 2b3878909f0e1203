import { Buffer } from 'node:buffer';
import type { ErrPacket } from '../err-packet.ts';
import { CLIENT_HANDSHAKE_FAULT, SERVER_FAULT } from '../errors.ts';
import { encodeXFrame, X_SERVER } from './frame.ts';
import { bytesOf, encodeBytesField, encodeVarintField, numberOf, readFields } from './protobuf.ts';

/**
 * The messages of X Protocol the router reads or writes itself.
 *
 *     Mysqlx.Error                        1 severity (0 ERROR, 1 FATAL) · 2 code · 3 msg · 4 sql_state
 *     Mysqlx.Connection.CapabilitiesSet   1 Capabilities
 *     Mysqlx.Connection.Capabilities      1 Capability, repeated
 *     Mysqlx.Connection.Capability        1 name · 2 value (Any)
 *     Mysqlx.Datatypes.Any                1 type (1 SCALAR) · 2 Scalar
 *     Mysqlx.Datatypes.Scalar             1 type · 2 v_signed_int · 3 v_unsigned_int · 7 v_bool · …
 *
 * Source: mysqlx.proto, mysqlx_connection.proto, mysqlx_datatypes.proto of MySQL 9.
 */

/** The frame of a Mysqlx.Error after which the connection closes. */
export function encodeXError(err: ErrPacket): Buffer {
  const message = Buffer.concat([
    encodeVarintField(1, SEVERITY_FATAL),
    encodeVarintField(2, err.errorCode),
    encodeBytesField(3, Buffer.from(err.message, 'utf8')),
    encodeBytesField(4, Buffer.from(err.sqlState ?? 'HY000', 'latin1')),
  ]);
  return encodeXFrame(X_SERVER.ERROR, message);
}

/** @throws ProtocolError for what is no Mysqlx.Error */
export function decodeXError(message: Buffer): ErrPacket {
  const fields = readFields(message, SERVER_FAULT);
  return {
    errorCode: Number(numberOf(fields, 2) ?? 0n),
    sqlState: bytesOf(fields, 4)?.toString('latin1'),
    message: bytesOf(fields, 3)?.toString('utf8') ?? '',
  };
}

/**
 * Whether a Mysqlx.Connection.CapabilitiesSet asks for TLS.
 *
 * @throws ProtocolError for what is none
 */
export function asksForTls(message: Buffer): boolean {
  const capabilities = bytesOf(readFields(message, CLIENT_HANDSHAKE_FAULT), 1) ?? NOTHING;
  return readFields(capabilities, CLIENT_HANDSHAKE_FAULT).some((field) => {
    if (field.number !== 1 || field.kind !== 'bytes') return false;
    const capability = readFields(field.value, CLIENT_HANDSHAKE_FAULT);
    return bytesOf(capability, 1)?.toString('latin1') === 'tls' && isTrue(bytesOf(capability, 2) ?? NOTHING);
  });
}

/** Of an Any: servers take any scalar that is not 0 for true. */
function isTrue(any: Buffer): boolean {
  const scalar = bytesOf(readFields(any, CLIENT_HANDSHAKE_FAULT), 2) ?? NOTHING;
  const fields = readFields(scalar, CLIENT_HANDSHAKE_FAULT);
  return SCALAR_NUMBERS.some((number) => (numberOf(fields, number) ?? 0n) !== 0n);
}

const NOTHING = Buffer.alloc(0);
const SEVERITY_FATAL = 1;
/** v_signed_int, v_unsigned_int, v_bool. */
const SCALAR_NUMBERS = [2, 3, 7] as const;
