import { Buffer } from 'node:buffer';
import { Cursor } from './cursor.ts';
import { SERVER_FAULT } from './errors.ts';
import { Writer } from './writer.ts';

/**
 * Protocol::AuthSwitchRequest: begin again with another plugin. The client answers with that plugin's bytes
 * and nothing around them (AuthSwitchResponse).
 *
 *     int<1>       0xfe
 *     string<NUL>  plugin name
 *     string<EOF>  authentication plugin data, usually 20 bytes + NUL
 *
 * Protocol::OldAuthSwitchRequest is the single byte 0xfe and means mysql_old_password.
 */
export type AuthSwitchRequest =
  | {
      readonly kind: 'named';
      /** Latin-1. */
      readonly authPluginName: string;
      readonly authPluginData: Buffer;
    }
  | { readonly kind: 'old-password' };

export function decodeAuthSwitchRequest(payload: Uint8Array): AuthSwitchRequest {
  const cursor = new Cursor(payload, 'AuthSwitchRequest', SERVER_FAULT);
  cursor.expectUint1(AUTH_SWITCH_REQUEST, 'status');
  if (cursor.remainingBytes === 0) return { kind: 'old-password' };
  const authPluginName = cursor.readNulBytes('plugin name').toString('latin1');
  return { kind: 'named', authPluginName, authPluginData: cursor.readRest() };
}

export function encodeAuthSwitchRequest(request: AuthSwitchRequest): Buffer {
  const writer = new Writer().writeUint1(AUTH_SWITCH_REQUEST);
  if (request.kind === 'old-password') return writer.finish();
  return writer
    .writeNulBytes(Buffer.from(request.authPluginName, 'latin1'))
    .writeBytes(request.authPluginData)
    .finish();
}

/** First byte of the payload. */
export const AUTH_SWITCH_REQUEST = 0xfe;
