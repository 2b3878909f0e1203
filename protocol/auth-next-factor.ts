import { Buffer } from 'node:buffer';
import { Cursor } from './cursor.ts';
import { SERVER_FAULT } from './errors.ts';
import { Writer } from './writer.ts';

/**
 * Protocol::AuthNextFactorRequest: the factor before was right, now the next one. Only where both sides have
 * CLIENT_MULTI_FACTOR_AUTHENTICATION. Answered like an AuthSwitchRequest.
 *
 *     int<1>       0x02
 *     string<NUL>  plugin name
 *     string<EOF>  authentication plugin data
 */
export interface AuthNextFactor {
  /** Latin-1. */
  readonly authPluginName: string;
  readonly authPluginData: Buffer;
}

export function decodeAuthNextFactor(payload: Uint8Array): AuthNextFactor {
  const cursor = new Cursor(payload, 'AuthNextFactor', SERVER_FAULT);
  cursor.expectUint1(AUTH_NEXT_FACTOR, 'packet type');
  const authPluginName = cursor.readNulBytes('plugin name').toString('latin1');
  return { authPluginName, authPluginData: cursor.readRest() };
}

export function encodeAuthNextFactor(request: AuthNextFactor): Buffer {
  return new Writer()
    .writeUint1(AUTH_NEXT_FACTOR)
    .writeNulBytes(Buffer.from(request.authPluginName, 'latin1'))
    .writeBytes(request.authPluginData)
    .finish();
}

/** First byte of the payload. */
export const AUTH_NEXT_FACTOR = 0x02;
