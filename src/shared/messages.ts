/**
 * The messages between the main thread and a data thread. Everything here survives a structured clone.
 */
import type { Topology } from '../../routing/topology.ts';
import type { Config, RouteConfig } from '../config/config.ts';
import type { EventFields, EventLevel } from './events.ts';
import type { GuidelineInForce } from './guideline.ts';
import type { Signal } from './signals.ts';
import type { TlsMaterials } from './tls-material.ts';

/** A route with what the main thread settled for it: its block of counters and the port it really has. */
export type BoundRoute = RouteConfig & {
  /** Index of the route's block of counters. */
  readonly index: number;
};

/** What a data thread is started with (`workerData`). */
export type DataThreadStart = {
  readonly threadIndex: number;
  readonly config: DataConfig;
  readonly routes: readonly BoundRoute[];
  readonly topology: Topology;
  readonly counters: SharedArrayBuffer;
  readonly tls: TlsMaterials;
  readonly guideline: GuidelineInForce | null;
};

/** The part of the configuration the data plane needs; it holds no secret. */
export type DataConfig = Pick<
  Config,
  'dial' | 'hold' | 'drain' | 'limits' | 'quarantine' | 'relay' | 'closeRoOnPromotion' | 'log'
>;

export type ToDataThread =
  | { readonly kind: 'topology'; readonly topology: Topology }
  /** Settings and routes after a reload; routes are matched by name. */
  | {
      readonly kind: 'reload';
      readonly config: DataConfig;
      readonly routes: readonly BoundRoute[];
      readonly tls: TlsMaterials;
    }
  /** Another routing guideline, or none: members are grouped and sessions judged anew. */
  | { readonly kind: 'guideline'; readonly guideline: GuidelineInForce | null }
  /** Certificates or keys have changed; open sessions keep what they have. */
  | { readonly kind: 'tls'; readonly tls: TlsMaterials }
  /** End sessions at boundaries within `graceMs`, then the rest, then answer `drained`. */
  | { readonly kind: 'drain'; readonly stopAcceptingAfterMs: number; readonly timeoutMs: number }
  /** Another process has taken the ports over: accept nobody any more, whatever a drain under way had planned. */
  | { readonly kind: 'stop-accepting' }
  | { readonly kind: 'list-sessions'; readonly requestId: number; readonly limit: number };

export type FromDataThread =
  /** All listeners of the route are bound; `port` tells what port 0 became. */
  | { readonly kind: 'listening'; readonly route: string; readonly port: number }
  | {
      readonly kind: 'listen-failed';
      readonly route: string;
      readonly code: string;
      readonly message: string;
    }
  | { readonly kind: 'signal'; readonly signal: Signal }
  | { readonly kind: 'event'; readonly event: ThreadEvent }
  | { readonly kind: 'drained' }
  | { readonly kind: 'sessions'; readonly requestId: number; readonly sessions: readonly SessionFacts[] };

/** An event a data thread wants recorded; the main thread records it. */
export type ThreadEvent = {
  readonly level: EventLevel;
  readonly kind: string;
  readonly message: string;
  readonly fields: EventFields;
};

/** One session as `/api/v1/sessions` shows it. */
export type SessionFacts = {
  readonly id: string;
  readonly route: string;
  readonly client: string;
  readonly member: string | null;
  readonly state: string;
  readonly user: string;
  readonly database: string;
  readonly openedAtMs: number;
  readonly idleForMs: number;
  readonly isOpaque: boolean;
  readonly inTransaction: boolean;
  /** The route of the routing guideline it was placed by; null where none was. */
  readonly guidelineRoute: string | null;
  readonly bytesToServer: number;
  readonly bytesToClient: number;
};
