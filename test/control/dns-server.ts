/** A name server for tests, on loopback over UDP and TCP. It answers, stalls, lies and dies as it is told. */
import { Buffer } from 'node:buffer';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, isIP, type Server } from 'node:net';

export type DnsAnswer =
  /** A records for the IPv4 among them, AAAA for the others. */
  | { readonly kind: 'addresses'; readonly addresses: readonly string[]; readonly ttlSeconds: number }
  | { readonly kind: 'services'; readonly services: readonly Service[] }
  /** A CNAME with the records of what it leads to, as a name server that looks them up answers. */
  | { readonly kind: 'alias'; readonly to: string; readonly ttlSeconds: number }
  | { readonly kind: 'no-such-name' }
  | { readonly kind: 'empty' }
  | { readonly kind: 'failure' }
  | { readonly kind: 'silence' }
  /** Bytes that are no answer. */
  | { readonly kind: 'garbage' }
  /** An answer to a question nobody asked: another id and another address. */
  | { readonly kind: 'forged'; readonly address: string };

export type Service = { readonly host: string; readonly port: number; readonly priority?: number };

export type DnsServer = {
  /** `address:port` */
  readonly server: string;
  /** By name; other names are answered with no-such-name. */
  readonly answers: Map<string, DnsAnswer>;
  /** Names asked for so far, A records only. */
  readonly asked: string[];
  /** Names that were asked for over TCP. */
  readonly askedByTcp: string[];
  /** While true, every answer over UDP says that it had no room. */
  truncates: boolean;
  /** Between a question over UDP and its answer. */
  delayMs: number;
  close(): void;
};

/** @param host where it listens */
export async function startDnsServer(host = '127.0.0.1'): Promise<DnsServer> {
  const answers = new Map<string, DnsAnswer>();
  const asked: string[] = [];
  const askedByTcp: string[] = [];
  const { udp, tcp, port } = await bindBoth(host);
  let isClosed = false;
  const state: DnsServer = {
    server: `${host}:${port}`,
    answers,
    asked,
    askedByTcp,
    truncates: false,
    delayMs: 0,
    close() {
      if (isClosed) return;
      isClosed = true;
      udp.close();
      tcp.close();
    },
  };
  udp.on('message', (message, peer) => {
    const question = readQuestion(message);
    if (question.type === TYPE_A) asked.push(question.name);
    const reply = state.truncates ? header(question, 0, 0, TRUNCATED) : encodeReply(question, answers);
    if (reply === null) return;
    setTimeout(() => {
      if (!isClosed) udp.send(reply, peer.port, peer.address);
    }, state.delayMs);
  });
  tcp.on('connection', (socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (data) => {
      const question = readQuestion(data.subarray(2));
      askedByTcp.push(question.name);
      const reply = encodeReply(question, answers);
      if (reply === null) return;
      const length = Buffer.alloc(2);
      length.writeUInt16BE(reply.length);
      socket.end(Buffer.concat([length, reply]));
    });
  });
  return state;
}

/** One port for both, which somebody else may hold for one of them. */
async function bindBoth(
  host: string,
): Promise<{ readonly udp: Socket; readonly tcp: Server; readonly port: number }> {
  for (let attempt = 0; ; attempt += 1) {
    const udp = createSocket('udp4');
    udp.bind(0, host);
    await once(udp, 'listening');
    const { port } = udp.address();
    const tcp = createServer();
    try {
      tcp.listen(port, host);
      await once(tcp, 'listening');
      return { udp, tcp, port };
    } catch (error) {
      udp.close();
      if (attempt === 20) throw error;
    }
  }
}

type Question = {
  readonly message: Buffer;
  readonly name: string;
  readonly type: number;
  /** Behind the question. */
  readonly end: number;
};

function readQuestion(message: Buffer): Question {
  const labels: string[] = [];
  let offset = HEADER_BYTES;
  for (;;) {
    const length = message.readUInt8(offset);
    offset += 1;
    if (length === 0) break;
    labels.push(message.toString('latin1', offset, offset + length));
    offset += length;
  }
  const name = labels.join('.').toLowerCase();
  return { message, name, type: message.readUInt16BE(offset), end: offset + 4 };
}

/** Null for silence. */
function encodeReply(question: Question, answers: ReadonlyMap<string, DnsAnswer>): Buffer | null {
  const answer = answers.get(question.name) ?? { kind: 'no-such-name' };
  switch (answer.kind) {
    case 'silence':
      return null;
    case 'garbage':
      return Buffer.from('this is no answer to anything');
    case 'forged': {
      const record = encodeRecord(question.name, TYPE_A, 60, encodeAddress(answer.address));
      const forged = Buffer.concat([header(question, 0, 1), record]);
      forged.writeUInt16BE((question.message.readUInt16BE(0) + 1) & 0xff_ff, 0);
      return forged;
    }
    case 'no-such-name':
      return header(question, NXDOMAIN, 0);
    case 'failure':
      return header(question, SERVFAIL, 0);
    default: {
      const records = recordsOf(question.name, answer, question.type, answers);
      return Buffer.concat([header(question, 0, records.length), ...records]);
    }
  }
}

function recordsOf(
  name: string,
  answer: DnsAnswer,
  type: number,
  answers: ReadonlyMap<string, DnsAnswer>,
): readonly Buffer[] {
  switch (answer.kind) {
    case 'addresses': {
      const wanted = answer.addresses.filter(
        (address) => type === (isIP(address) === 4 ? TYPE_A : TYPE_AAAA),
      );
      return wanted.map((address) => encodeRecord(name, type, answer.ttlSeconds, encodeAddress(address)));
    }
    case 'services':
      if (type !== TYPE_SRV) return [];
      return answer.services.map((service) => encodeRecord(name, TYPE_SRV, 5, encodeService(service)));
    case 'alias': {
      const end = answers.get(answer.to);
      const rest = end === undefined ? [] : recordsOf(answer.to, end, type, answers);
      return [encodeRecord(name, TYPE_CNAME, answer.ttlSeconds, encodeName(answer.to)), ...rest];
    }
    default:
      return [];
  }
}

function header(question: Question, code: number, count: number, flags = 0): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  question.message.copy(bytes, 0, 0, 2);
  bytes.writeUInt16BE(0x8180 | flags | code, 2);
  bytes.writeUInt16BE(1, 4);
  bytes.writeUInt16BE(count, 6);
  return Buffer.concat([bytes, question.message.subarray(HEADER_BYTES, question.end)]);
}

function encodeRecord(name: string, type: number, ttlSeconds: number, data: Buffer): Buffer {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(CLASS_IN, 2);
  fixed.writeUInt32BE(ttlSeconds, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([encodeName(name), fixed, data]);
}

function encodeName(name: string): Buffer {
  const labels = name
    .split('.')
    .filter((label) => label !== '')
    .map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')]));
  return Buffer.concat([...labels, Buffer.from([0])]);
}

function encodeAddress(address: string): Buffer {
  if (isIP(address) === 4) return Buffer.from(address.split('.').map(Number));
  // Tests use addresses whose zeros are in one place: "2001:db8::1".
  const [head = '', tail = ''] = address.split('::');
  const groups = (text: string) => text.split(':').filter((group) => group !== '');
  const [first, last] = [groups(head), groups(tail)];
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => '0');
  const bytes = Buffer.alloc(16);
  for (const [index, group] of [...first, ...zeros, ...last].entries()) {
    bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * index);
  }
  return bytes;
}

function encodeService({ host, port, priority = 0 }: Service): Buffer {
  const fixed = Buffer.alloc(6);
  fixed.writeUInt16BE(priority, 0);
  fixed.writeUInt16BE(10, 2);
  fixed.writeUInt16BE(port, 4);
  return Buffer.concat([fixed, encodeName(host)]);
}

const HEADER_BYTES = 12;
const CLASS_IN = 1;
const TYPE_A = 1;
const TYPE_CNAME = 5;
const TYPE_AAAA = 28;
const TYPE_SRV = 33;
const NXDOMAIN = 3;
const SERVFAIL = 2;
const TRUNCATED = 0x02_00;
