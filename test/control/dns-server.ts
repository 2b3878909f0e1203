/** A name server for tests, on loopback over UDP. */
import { Buffer } from 'node:buffer';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';

export type DnsAnswer =
  | { readonly kind: 'addresses'; readonly addresses: readonly string[]; readonly ttlSeconds: number }
  | { readonly kind: 'no-such-name' }
  | { readonly kind: 'failure' }
  | { readonly kind: 'silence' };

export type DnsServer = {
  /** `address:port` */
  readonly server: string;
  /** Answers to questions for A records; other questions and names are answered with no-such-name. */
  readonly answers: Map<string, DnsAnswer>;
  /** Names asked for so far, A records only. */
  readonly asked: string[];
  close(): void;
};

export async function startDnsServer(): Promise<DnsServer> {
  const socket = createSocket('udp4');
  const answers = new Map<string, DnsAnswer>();
  const asked: string[] = [];
  socket.on('message', (question, peer) => {
    const { name, type, end } = readQuestion(question);
    if (type === TYPE_A) asked.push(name);
    const answer = (type === TYPE_A ? answers.get(name) : undefined) ?? { kind: 'no-such-name' };
    if (answer.kind !== 'silence') socket.send(encodeAnswer(question, end, answer), peer.port, peer.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { server: `127.0.0.1:${socket.address().port}`, answers, asked, close: () => socket.close() };
}

function readQuestion(question: Buffer): {
  readonly name: string;
  readonly type: number;
  readonly end: number;
} {
  const labels: string[] = [];
  let offset = HEADER_BYTES;
  for (;;) {
    const length = question.readUInt8(offset);
    offset += 1;
    if (length === 0) break;
    labels.push(question.toString('latin1', offset, offset + length));
    offset += length;
  }
  return { name: labels.join('.').toLowerCase(), type: question.readUInt16BE(offset), end: offset + 4 };
}

function encodeAnswer(question: Buffer, questionEnd: number, answer: DnsAnswer): Buffer {
  const records =
    answer.kind === 'addresses' ? answer.addresses.map((address) => encodeA(address, answer.ttlSeconds)) : [];
  const code = answer.kind === 'no-such-name' ? NXDOMAIN : answer.kind === 'failure' ? SERVFAIL : 0;
  const header = Buffer.alloc(HEADER_BYTES);
  question.copy(header, 0, 0, 2);
  header.writeUInt16BE(0x8180 | code, 2);
  header.writeUInt16BE(1, 4);
  header.writeUInt16BE(records.length, 6);
  return Buffer.concat([header, question.subarray(HEADER_BYTES, questionEnd), ...records]);
}

function encodeA(address: string, ttlSeconds: number): Buffer {
  const record = Buffer.alloc(16);
  // A pointer to the name in the question, type A, class IN.
  record.writeUInt16BE(0xc0_0c, 0);
  record.writeUInt16BE(TYPE_A, 2);
  record.writeUInt16BE(1, 4);
  record.writeUInt32BE(ttlSeconds, 6);
  record.writeUInt16BE(4, 10);
  for (const [index, part] of address.split('.').entries()) record.writeUInt8(Number(part), 12 + index);
  return record;
}

const HEADER_BYTES = 12;
const TYPE_A = 1;
const NXDOMAIN = 3;
const SERVFAIL = 2;
