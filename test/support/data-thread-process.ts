/**
 * One data thread in a process of its own, so that its memory can be measured apart from that of clients and servers.
 * Takes the member's port; tells its own port, and its memory whenever it is asked. For memory.test.ts.
 */
import { startDataThread } from '../../src/data/data-thread.ts';
import { createCounterMemory, sumCells, THREAD } from '../../src/shared/counters.ts';
import { memberNamed, topologyOf } from '../routing/members.ts';
import { labConfig } from './data-lab.ts';

export type ProcessReport =
  | { readonly kind: 'listening'; readonly port: number }
  | {
      readonly kind: 'memory';
      /** Resident set, after a collection of garbage. */
      readonly rssBytes: number;
      /** Of all ArrayBuffers: what is queued, and what is lent. */
      readonly bufferBytes: number;
      readonly queuedBytes: number;
      readonly stalls: number;
    };

const [mode, serverPort] = process.argv.slice(2);
const config = labConfig({ mode: mode === 'portable' ? 'portable' : 'fast' });
const member = memberNamed('server', {
  dial: { host: '127.0.0.1', port: Number(serverPort) },
  role: 'PRIMARY',
  acceptsWrites: true,
  slot: 0,
});
const counters = createCounterMemory(1);
const report = (message: ProcessReport) => process.send?.(message);
const thread = await startDataThread(
  {
    threadIndex: 0,
    config,
    routes: config.routes.map((route, index) => ({ ...route, index })),
    topology: topologyOf([member]),
    counters,
    tls: new Map(),
    guideline: null,
  },
  (message) => {
    if (message.kind === 'listening' && message.route === 'rw')
      report({ kind: 'listening', port: message.port });
  },
);
process.on('message', () => {
  globalThis.gc?.();
  report({
    kind: 'memory',
    rssBytes: process.memoryUsage.rss(),
    bufferBytes: process.memoryUsage().arrayBuffers,
    queuedBytes: [...thread.sessions].reduce((sum, session) => sum + session.queuedBytes, 0),
    stalls: sumCells(counters, 1, THREAD.backpressurePauses),
  });
});
process.on('disconnect', () => process.exit());
