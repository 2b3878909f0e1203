/**
 * Leaving politely.
 *
 * A server must not count the router among those who break connections off (Aborted_clients, Aborted_connects and,
 * worst, max_connect_errors, which blocks an address). A client must get everything that was sent to it, to the last ERR.
 */
import {
  CLIENT_PLUGIN_AUTH,
  CLIENT_PROTOCOL_41,
  CLIENT_SECURE_CONNECTION,
} from '../../protocol/capability-flags.ts';
import { COM_QUIT } from '../../protocol/commands.ts';
import { encodeHandshakeResponse41 } from '../../protocol/handshake-response41.ts';
import { encodePacket } from '../../protocol/packet-header.ts';
import type { Connection, ConnectionSink } from './connection.ts';

/** Ends a session that is between two commands. */
export function quit(server: Connection): void {
  server.attach(leaver(server));
  server.write(QUIT, 0, QUIT.length);
  server.end();
}

/**
 * Ends a connection whose server has greeted and waits for an answer: gives one that no account matches. The server
 * refuses it and closes; a login refused does not count against an address, a handshake broken off does.
 */
export function abandonHandshake(server: Connection): void {
  server.attach(leaver(server));
  server.write(NOBODY, 0, NOBODY.length);
}

/** Waits for the server to close, or to say anything at all, but not for long. */
function leaver(server: Connection): ConnectionSink {
  const deadline = setTimeout(() => server.destroy(), DEADLINE_MS);
  const close = () => {
    clearTimeout(deadline);
    server.destroy();
  };
  // What a server says now is its ERR, or nothing anybody waits for.
  return { onBytes: close, onEnd: close, onDrain: () => undefined, onClose: close };
}

/**
 * Sends FIN behind what the peer has still to get, and closes when it has closed.
 *
 * What it sends meanwhile is read and dropped: unread bytes would make the kernel send RST at close, which may overtake
 * what the peer has not read yet. A peer that takes nothing for a minute is given up.
 */
export function leave(peer: Connection): void {
  if (peer.hasPeerEnded && peer.queuedBytes === 0) return peer.destroy();
  let queuedBefore = peer.queuedBytes;
  let patience = QUEUE_PATIENCE_TICKS;
  const close = () => {
    clearInterval(watch);
    peer.destroy();
  };
  const watch = setInterval(() => {
    const queued = peer.queuedBytes;
    patience = queued > 0 && queued === queuedBefore ? patience - 1 : QUEUE_PATIENCE_TICKS;
    queuedBefore = queued;
    if (queued === 0 || patience === 0) close();
  }, DEADLINE_MS);
  peer.attach({
    onBytes: () => undefined,
    onEnd: () => undefined,
    onDrain: () => undefined,
    onClose: close,
  });
  peer.end();
  peer.resume();
}

const QUIT = encodePacket(Buffer.from([COM_QUIT]), 0);

const NOBODY = encodePacket(
  encodeHandshakeResponse41({
    capabilityFlags: CLIENT_PROTOCOL_41 | CLIENT_SECURE_CONNECTION | CLIENT_PLUGIN_AUTH,
    mariadbCapabilityFlags: 0,
    maxPacketBytes: 0x100_0000,
    characterSet: 45,
    textEncoding: 'utf8',
    username: 'fairlead-abandoned-handshake',
    authResponse: Buffer.alloc(0),
    database: undefined,
    authPluginName: 'caching_sha2_password',
    attributes: undefined,
    zstdLevel: undefined,
  }),
  1,
);

const DEADLINE_MS = 1000;
const QUEUE_PATIENCE_TICKS = 60;
