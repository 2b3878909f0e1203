/** The buffer a thread reads into is lent to handles for short writes: what a handle keeps is not read over. */
import { writeSync } from 'node:fs';
import { createServer, type Server, Socket } from 'node:net';
import t, { type Test } from 'tap';
import { type BareTcp, BareWire, createBareTcp } from '../../src/data/bare-wire.ts';
import { ReadBuffer } from '../../src/data/read-buffer.ts';
import { acceptHandles, type TcpHandle, tcpBinding } from '../../src/data/tcp-handle.ts';
import type { WireOwner } from '../../src/data/wire.ts';
import { until } from '../support/until.ts';

/** A listener that makes wires of what it accepts. */
class House {
  readonly #tcp: BareTcp;
  readonly #server: Server;
  readonly #accepted: TcpHandle[] = [];

  static async open(t: Test, tcp: BareTcp): Promise<House> {
    const house = new House(tcp);
    const listening = Promise.withResolvers<void>();
    house.#server.listen(0, '127.0.0.1', listening.resolve);
    await listening.promise;
    acceptHandles(
      house.#server,
      (handle) => house.#accepted.push(handle),
      (status) => t.fail(`accept: ${status}`),
    );
    t.teardown(() => {
      house.#server.close();
      for (const guest of house.#guests) guest.leave();
    });
    return house;
  }

  readonly #guests: Guest[] = [];

  private constructor(tcp: BareTcp) {
    this.#tcp = tcp;
    this.#server = createServer();
  }

  async connect(): Promise<Guest> {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not listening');
    const socket = new Socket();
    socket.pause();
    socket.connect(address.port, '127.0.0.1');
    await until('the connection to be accepted', () => this.#accepted.length > 0);
    const handle = this.#accepted.shift();
    if (handle === undefined) throw new Error('nothing was accepted');
    const guest = new Guest(this.#tcp, handle, socket);
    this.#guests.push(guest);
    return guest;
  }
}

/** A connection with both its ends. */
class Guest implements WireOwner {
  readonly handle: TcpHandle;
  readonly wire: BareWire;
  readonly #socket: Socket;
  heard = '';
  drained = 0;

  constructor(tcp: BareTcp, handle: TcpHandle, socket: Socket) {
    this.handle = handle;
    this.#socket = socket;
    this.wire = BareWire.accept(tcp, handle, this);
  }

  /** Has the far end say `text`, and waits until it has been read. */
  async speak(text: string): Promise<void> {
    this.heard = '';
    this.#socket.write(text);
    await until('it to be heard', () => this.heard.length === text.length);
  }

  async readAll(bytes: number): Promise<Buffer> {
    const chunks: Buffer[] = [];
    let length = 0;
    const take = (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
    };
    this.#socket.on('data', take).resume();
    await until('everything to arrive', () => length >= bytes);
    this.#socket.off('data', take).pause();
    return Buffer.concat(chunks);
  }

  leave(): void {
    this.#socket.destroy();
    this.wire.destroy();
  }

  wireRead(buffer: Buffer, length: number): void {
    this.heard += buffer.toString('latin1', 0, length);
  }

  wireEnded(): void {
    this.wire.destroy();
  }

  wireDrained(): void {
    this.drained++;
  }

  /** The test ends by what has arrived. */
  wireClosed(): void {}
}

t.test('what a full connection keeps of a short chunk is not read over', async (t) => {
  const tcp = createBareTcp(tcpBinding(), 4096);
  const house = await House.open(t, tcp);
  const reads = tcp.reads.bytes;
  const [full, other] = [await house.connect(), await house.connect()];
  await full.speak('now');
  const filled = await fill(full.handle);
  const kept = full.wire.write(lend(reads, 'a short answer'), 0, 14);
  t.ok(kept > 0, 'the kernel has no room for it');
  t.not(tcp.reads.bytes, reads, 'the thread reads into another buffer');
  await other.speak('something else that is longer');
  t.equal(other.heard, 'something else that is longer', 'and so does a connection that was there before');
  t.equal(reads.toString('latin1', 0, 14), 'a short answer', 'nothing was read over what is kept');
  const received = await full.readAll(filled + 14);
  t.equal(received.toString('latin1', filled), 'a short answer');
  await until('the rest to be sent', () => full.wire.queuedBytes === 0);
  t.equal(full.drained, 1);
  await full.speak('again');
  t.equal(full.wire.write(lend(tcp.reads.bytes, 'and so it goes on'), 0, 17), 0);
  t.equal((await full.readAll(17)).toString(), 'and so it goes on');
});

t.test('a buffer is lent for short chunks from its beginning, and replaced only so often', (t) => {
  const reads = new ReadBuffer(8192, 1);
  const { bytes } = reads;
  t.equal(reads.loan(bytes, 0, 2048)?.length, 2048);
  t.equal(reads.loan(bytes, 0, 100), reads.loan(bytes, 0, 100), 'nothing is made for a chunk');
  t.equal(reads.loan(bytes, 0, 2049), null, 'too long');
  t.equal(reads.loan(bytes, 4, 100), null, 'not from its beginning');
  t.equal(reads.loan(Buffer.alloc(8192), 0, 100), null, 'not this buffer');
  t.ok(reads.isOverwritten(bytes.subarray(10)));
  t.ok(reads.isOverwritten(reads.forTls));
  reads.replace();
  t.notOk(reads.isOverwritten(bytes), 'what is kept is nobody’s to read into');
  t.equal(reads.loan(bytes, 0, 100), null);
  t.equal(reads.loan(reads.bytes, 0, 100), null, 'no more of it');
  t.end();
});

/** Writes past the wire until the kernel takes no more, and has made no room. @returns how many bytes that were */
async function fill({ fd }: TcpHandle): Promise<number> {
  let filled = 0;
  await until('the connection to be full', () => {
    const before = filled;
    filled += writeAll(fd);
    return filled === before;
  });
  return filled;
}

function writeAll(fd: number): number {
  const ballast = Buffer.alloc(65_536, '.');
  for (let written = 0; ; ) {
    try {
      written += writeSync(fd, ballast);
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error) || error.code !== 'EAGAIN') throw error;
      return written;
    }
  }
}

/** As if it had just been read. */
function lend(buffer: Buffer, text: string): Buffer {
  buffer.write(text, 'latin1');
  return buffer;
}
