import { Buffer } from 'node:buffer';
import {
  CLIENT_CONNECT_ATTRS,
  CLIENT_PLUGIN_AUTH,
  CLIENT_SECURE_CONNECTION,
  hasCapability,
} from './capability-flags.ts';
import { COM_CHANGE_USER } from './commands.ts';
import { Cursor } from './cursor.ts';
import { CLIENT_COMMAND_FAULT } from './errors.ts';
import { Writer } from './writer.ts';

/**
 * COM_CHANGE_USER: the account of a session is exchanged for another, with an authentication of its own.
 *
 *     int<1>          0x11
 *     string<NUL>     user
 *   with CLIENT_SECURE_CONNECTION
 *     int<1> + bytes  auth_response
 *   else
 *     string<NUL>     auth_response
 *     string<NUL>     database
 *   and, if there are more bytes
 *     int<2>          character_set
 *   with CLIENT_PLUGIN_AUTH, if there are more bytes
 *     string<NUL>     client_plugin_name
 *   with CLIENT_CONNECT_ATTRS, if there are more bytes
 *     string<lenenc>  connection attributes
 */
export interface ChangeUser {
  readonly user: Buffer;
  readonly authResponse: Buffer;
  readonly database: Buffer;
  /** Two bytes, or none. */
  readonly characterSet: Buffer;
  /** Latin-1; `undefined` where none is named. */
  readonly authPluginName: string | undefined;
  /** As in HandshakeResponse41; `undefined` where there are none. */
  readonly attributes: Buffer | undefined;
  /** What else there is. */
  readonly rest: Buffer;
}

export function decodeChangeUser(payload: Uint8Array, capabilities: number): ChangeUser {
  const cursor = new Cursor(payload, 'COM_CHANGE_USER', CLIENT_COMMAND_FAULT);
  cursor.expectUint1(COM_CHANGE_USER, 'command');
  const user = cursor.readNulBytes('user');
  const authResponse = hasCapability(capabilities, CLIENT_SECURE_CONNECTION)
    ? cursor.readBytes(cursor.readUint1('auth_response length'), 'auth_response')
    : cursor.readNulBytes('auth_response');
  const database = cursor.readNulBytes('database');
  const characterSet = cursor.remainingBytes >= 2 ? cursor.readBytes(2, 'character_set') : Buffer.alloc(0);
  const isNamed = hasCapability(capabilities, CLIENT_PLUGIN_AUTH) && cursor.hasNulAhead();
  const authPluginName = isNamed ? cursor.readNulBytes('client_plugin_name').toString('latin1') : undefined;
  const hasAttributes =
    isNamed && hasCapability(capabilities, CLIENT_CONNECT_ATTRS) && cursor.remainingBytes > 0;
  const attributes = hasAttributes ? cursor.readLenencBytes('connection attributes') : undefined;
  const rest = cursor.readRest();
  return { user, authResponse, database, characterSet, authPluginName, attributes, rest };
}

export function encodeChangeUser(command: ChangeUser, capabilities: number): Buffer {
  const writer = new Writer().writeUint1(COM_CHANGE_USER).writeNulBytes(command.user);
  if (hasCapability(capabilities, CLIENT_SECURE_CONNECTION))
    writer.writeUint1(command.authResponse.length).writeBytes(command.authResponse);
  else writer.writeNulBytes(command.authResponse);
  writer.writeNulBytes(command.database).writeBytes(command.characterSet);
  if (command.authPluginName !== undefined)
    writer.writeNulBytes(Buffer.from(command.authPluginName, 'latin1'));
  if (command.attributes !== undefined) writer.writeLenencBytes(command.attributes);
  return writer.writeBytes(command.rest).finish();
}
