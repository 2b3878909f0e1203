/** Dials a port of this host that nobody listens on, over and over, and writes what came of it as JSON. */
import { connect } from 'node:net';
import { ControlFailure } from '../../src/control/control-failure.ts';
import { connectToServer } from '../../src/control/greeting.ts';
import type { Transport } from '../../src/data/connection.ts';
import { Dial } from '../../src/data/dial.ts';
import { FIRST_WORDS } from '../../src/data/first-word.ts';
import { chooseTransport } from '../../src/data/transport-self-test.ts';
import { memberNamed } from '../routing/members.ts';

const address = { host: '127.0.0.1', port: 40_000 };
const DIALS = 200;

async function kindsOf(dial: () => Promise<string>): Promise<readonly string[]> {
  const kinds = new Set<string>();
  for (let index = 0; index < DIALS; index++) kinds.add(await dial());
  return [...kinds];
}

function dialOver(transport: Transport, protocol: 'classic' | 'x'): Promise<string> {
  const deadlines = { connectTimeoutMs: 200, handshakeTimeoutMs: 200 };
  return new Promise((resolve) => {
    new Dial(memberNamed('db'), address, transport, FIRST_WORDS[protocol], deadlines, (_dial, outcome) => {
      if (outcome.kind === 'greeted') outcome.connection.destroy();
      resolve(outcome.kind);
    });
  });
}

function dialControl(): Promise<string> {
  return connectToServer(address, 200, AbortSignal.timeout(400)).then(
    () => 'greeted',
    (error: unknown) => (error instanceof ControlFailure ? error.kind : String(error)),
  );
}

function connectPlainly(): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(address);
    socket.on('connect', () => {
      resolve('connected');
      socket.resetAndDestroy();
    });
    socket.on('error', () => resolve('refused'));
  });
}

let selfConnects = 0;
for (let index = 0; index < DIALS; index++) if ((await connectPlainly()) === 'connected') selfConnects++;
const { transport: fast } = await chooseTransport('fast', 65_536);
const outcomes = {
  [`${fast.kind} classic`]: await kindsOf(() => dialOver(fast, 'classic')),
  [`${fast.kind} x`]: await kindsOf(() => dialOver(fast, 'x')),
  'portable x': await kindsOf(() => dialOver({ kind: 'portable' }, 'x')),
  control: await kindsOf(dialControl),
};
process.stdout.write(JSON.stringify({ selfConnects, outcomes }));
process.exit(0);
