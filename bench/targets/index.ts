/** Everything the bench can put between clients and servers. */
import type { Bench, Target } from '../bench.ts';
import { startFairlead } from './fairlead.ts';
import {
  startBootstrappedTarget,
  startDirect,
  startFloor,
  startHaproxyTarget,
  startPassthroughTarget,
} from './peers.ts';

export type TargetKind = {
  readonly name: string;
  readonly title: string;
  start(bench: Bench): Promise<Target>;
};

export const TARGETS: readonly TargetKind[] = [
  { name: 'fairlead', title: 'Fairlead', start: (bench) => startFairlead(bench) },
  { name: 'haproxy', title: 'HAProxy TCP', start: startHaproxyTarget },
  { name: 'passthrough', title: 'Router PASSTHROUGH', start: startPassthroughTarget },
  { name: 'bootstrapped', title: 'Router bootstrapped', start: startBootstrappedTarget },
  { name: 'floor', title: 'C relay (floor)', start: startFloor },
  { name: 'direct', title: 'direct', start: startDirect },
];

/** Fairlead in other shapes: asked for with `--variants`. */
export const VARIANTS: readonly TargetKind[] = [
  {
    name: 'untracked',
    title: 'Fairlead, no tracking',
    start: (bench) => startFairlead(bench, { isTracking: false }),
  },
  {
    name: 'portable',
    title: 'Fairlead, portable relay',
    start: (bench) => startFairlead(bench, { relayMode: 'portable' }),
  },
  {
    name: 'two-threads',
    title: 'Fairlead, 2 threads',
    start: (bench) => startFairlead(bench, { threads: 2 }),
  },
  {
    name: 'tls-ended',
    title: 'Fairlead, TLS ended',
    start: (bench) => startFairlead(bench, { endsTls: true }),
  },
];
