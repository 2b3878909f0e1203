/** Logins as the manual has them: what recordings do not have by chance. */
import { createErrPacket, encodeErr } from '../../protocol/err-packet.ts';
import { encodeInitialHandshake } from '../../protocol/initial-handshake.ts';
import { encodePacket } from '../../protocol/packet-header.ts';
import { hex, packet } from '../protocol/bytes.ts';
import type { Step } from '../protocol/conversation.ts';
import { LOGIN, loginPayload, SSL_REQUEST } from '../support/raw-client.ts';
import { SERVER_CAPABILITIES } from '../support/scripted-server.ts';

const NONCE = 'abcdefghijklmnopqrst';

const GREETING = encodePacket(
  encodeInitialHandshake({
    serverVersion: '9.7.4',
    connectionId: 7,
    authPluginData: Buffer.from(`${NONCE}\0`),
    capabilityFlags: SERVER_CAPABILITIES,
    mariadbCapabilityFlags: 0,
    characterSet: 255,
    statusFlags: 2,
    authPluginName: 'caching_sha2_password',
  }),
  0,
);
const ok = (sequenceId: number): Buffer => packet(sequenceId, hex('00 00 00 02 00 00 00'));
const SWITCH = packet(2, 0xfe, 'mysql_native_password\0', NONCE, 0);
const DENIED = encodeErr(createErrPacket('ER_ACCESS_DENIED_ERROR', 'Access denied'), 2);
const PASSWORD = packet(3, 'secret\0');
const QUERY = packet(0, 3, 'SELECT 1');

export const SCRIPTED_LOGINS: readonly (readonly Step[])[] = [
  [
    ['server', GREETING],
    ['client', LOGIN],
    ['server', Buffer.concat([packet(2, 1, 3), ok(3)])],
    ['client', QUERY],
  ],
  [
    ['server', GREETING],
    ['client', LOGIN],
    ['server', packet(2, 1, 4)],
    ['client', PASSWORD],
    ['server', ok(4)],
  ],
  [
    ['server', GREETING],
    ['client', LOGIN],
    ['server', packet(2, 1, 4)],
    ['client', packet(3, 2)],
    ['server', packet(4, 1, '-----BEGIN PUBLIC KEY-----', 'M'.repeat(300))],
    ['client', packet(5, 'x'.repeat(256))],
    ['server', ok(6)],
  ],
  [
    ['server', GREETING],
    ['client', LOGIN],
    ['server', SWITCH],
    ['client', packet(3, 'y'.repeat(20))],
    ['server', packet(4, 2, 'second_factor\0', NONCE)],
    ['client', packet(5, 'answer')],
    ['server', ok(6)],
  ],
  [
    ['server', GREETING],
    ['client', LOGIN],
    ['server', DENIED],
  ],
  [
    ['server', GREETING],
    ['client', SSL_REQUEST],
    ['client', encodePacket(loginPayload('inside'), 2)],
    ['server', ok(3)],
  ],
  [['server', packet(0, 0xff, hex('10 04'), 'Too many connections')]],
  [
    ['server', GREETING],
    ['client', Buffer.concat([LOGIN, QUERY])],
    ['server', ok(2)],
  ],
];
