import type { Buffer } from 'node:buffer';

/**
 * Whether what a client sends behind its SSLRequest begins with TLS, and its first record is there as a whole.
 *
 * TLSPlaintext (RFC 8446, 5.1): ContentType (1, handshake is 22), version (2, the first byte is 3), length (2, at most
 * 2¹⁴), and the fragment, whose first byte is the handshake's type (client_hello is 1).
 */
export function readClientHello(bytes: Buffer): 'whole' | 'not-yet-whole' | 'no-tls' {
  const [contentType = HANDSHAKE, majorVersion = TLS_MAJOR_VERSION] = bytes;
  const handshakeType = bytes[RECORD_HEADER_BYTES] ?? CLIENT_HELLO;
  if (contentType !== HANDSHAKE || majorVersion !== TLS_MAJOR_VERSION || handshakeType !== CLIENT_HELLO)
    return 'no-tls';
  if (bytes.length < RECORD_HEADER_BYTES) return 'not-yet-whole';
  const length = bytes.readUInt16BE(3);
  if (length === 0 || length > MAX_FRAGMENT_BYTES) return 'no-tls';
  return bytes.length < RECORD_HEADER_BYTES + length ? 'not-yet-whole' : 'whole';
}

const HANDSHAKE = 0x16;
const TLS_MAJOR_VERSION = 0x03;
const CLIENT_HELLO = 0x01;
const RECORD_HEADER_BYTES = 5;
const MAX_FRAGMENT_BYTES = 0x4000;
