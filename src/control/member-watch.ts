/**
 * Keeps asking one address: resolves its name, keeps one control session open, probes it at the pace of the moment, and
 * tells what it saw. At most one probe is under way.
 */
import { isIP } from 'node:net';
import { isDeepStrictEqual } from 'node:util';

import { hasDrifted, isNews } from '../../routing/answer-news.ts';
import {
  type Failure,
  type MemberAnswer,
  NO_LAG_KNOWN,
  type Observation,
} from '../../routing/observations.ts';

import type { DialAddress } from '../../routing/topology.ts';
import { Deadline } from '../shared/deadline.ts';
import { ControlFailure, toControlFailure } from './control-failure.ts';
import { type ControlSession, openControlSession, type ProbeOutcome } from './control-session.ts';
import type { Urgency } from './decision-schedule.ts';
import { MetadataReader } from './metadata/metadata-reader.ts';
import { createNameWatch, type GivenAddress, type NameWatch } from './name-watch.ts';
import { type Backoff, createBackoff, createSteadyJitter, type SteadyJitter, withJitter } from './pace.ts';
import { Refusals } from './refusals.ts';
import type { MemberWatchOptions, ProbeCounts, WatchSettings } from './watch-options.ts';

/** The connection to the member: one of these at a time. */
type Link =
  | { readonly kind: 'none' }
  | { readonly kind: 'opening'; readonly giveUp: AbortController }
  | { readonly kind: 'idle'; readonly session: ControlSession }
  | { readonly kind: 'probing'; readonly session: ControlSession; readonly askedAtMs: number };

export class MemberWatch {
  readonly address: string;
  readonly #options: MemberWatchOptions;
  readonly #names: NameWatch;
  readonly #backoff: Backoff;
  readonly #interval: SteadyJitter;
  readonly #onStep = (): void => this.#step();
  #settings: WatchSettings;
  #link: Link = NO_LINK;
  #answer: MemberAnswer | null = null;
  #failure: Failure | null = null;
  readonly #refusals = new Refusals();
  #dial: DialAddress | null;
  /** The next step: connect, or probe. */
  readonly #nextStep = new Deadline('own-turn');
  /** The time of the next probe has passed while this one was not answered. */
  #isOverdue = false;
  /** Of what is under way. */
  readonly #deadline = new Deadline('others');
  #lastStepAtMs = Number.NEGATIVE_INFINITY;
  #isHurried = false;
  #isClosed = false;
  #hasToldMissingStats = false;
  #lastProbeSeconds: number | null = null;
  #lastAnswerAtMs: number | null = null;
  readonly #errorsByKind = new Map<string, number>();
  #metadata: MetadataReader | null = null;

  constructor(options: MemberWatchOptions) {
    const { target, now, random, resolver } = options;
    this.address = target.address;
    this.#options = options;
    this.#settings = options.settings;
    this.#useMetadata(options.settings);
    this.#backoff = createBackoff({ firstMs: 100, maxMs: 2000 }, random);
    this.#interval = createSteadyJitter(random);
    this.#names = createNameWatch({
      name: target.isFullName && isIP(target.host) === 0 ? `${target.host}.` : target.host,
      given: target.given,
      resolver,
      now,
      random,
      onAddress: (host) => this.#moveTo(host),
      onFailure: (code, hadAddress) => {
        // A name that has resolved before stays where it was.
        if (!hadAddress)
          this.#fail(new ControlFailure('unknown-host', `the name ${target.host} does not resolve: ${code}`));
      },
    });
    const host = this.#names.current();
    this.#dial = host === null ? null : { host, port: target.port };
    if (host !== null) this.#schedule(0);
  }

  get observation(): Observation {
    const seen = {
      address: this.address,
      dial: this.#dial,
      answer: this.#answer,
      failure: this.#failure,
      refusingSinceMs: this.#refusals.sinceMs,
    };
    return this.#metadata === null ? seen : { ...seen, metadata: this.#metadata.reading };
  }

  get counts(): ProbeCounts {
    return {
      lastProbeSeconds: this.#lastProbeSeconds,
      lastAnswerAtMs: this.#lastAnswerAtMs,
      lag: this.#answer?.lag ?? NO_LAG_KNOWN,
      errorsByKind: this.#errorsByKind,
    };
  }

  /** A client was told that its commit was refused. */
  noteRefusal(standsForMs: number): void {
    this.#refusals.note(this.#options.now(), standsForMs);
  }

  /** Asks on a new connection. What was said on this one stands until then. */
  reopen(): void {
    if (this.#sessionInUse() === null) return;
    this.#dropLink();
    this.#schedule(0);
  }

  /** Probes as soon as possible: something may have changed. */
  hurry(): void {
    if (this.#isClosed || !this.#options.asks || this.#failure?.kind === 'access-denied') return;
    switch (this.#link.kind) {
      case 'none':
      case 'idle': {
        const waitMs = this.#lastStepAtMs + this.#settings.hurryGapMs - this.#options.now();
        this.#schedule(Math.max(0, waitMs));
        break;
      }
      case 'probing':
        // What is under way may have been answered before the thing that changed.
        this.#isHurried = true;
        break;
      case 'opening':
        break;
    }
  }

  /** A changed account begins a new session; a shorter interval takes effect at once. */
  configure(settings: WatchSettings): void {
    const before = this.#settings;
    this.#settings = settings;
    this.#useMetadata(settings);
    if (!isDeepStrictEqual(settings.account, before.account)) {
      this.#dropLink();
      this.#backoff.reset();
      this.#schedule(0);
    } else if (settings.intervalMs < before.intervalMs) {
      this.hurry();
    }
  }

  /** Discovery knows where the member is now, or does not know it any more. */
  follow(given: GivenAddress | null): void {
    this.#names.follow(given);
  }

  close(): void {
    this.#isClosed = true;
    this.#names.close();
    this.#dropLink();
    this.#deadline.close();
  }

  #moveTo(host: string): void {
    if (this.#isClosed) return;
    this.#dial = { host, port: this.#options.target.port };
    // Whatever was said came from elsewhere: who is here has confirmed nothing.
    this.#answer = null;
    this.#failure = null;
    this.#dropLink();
    this.#backoff.reset();
    this.#schedule(0);
    this.#options.onObservation(`${this.address} is at ${host}`, 'news');
  }

  #schedule(delayMs: number): void {
    if (this.#isClosed || !this.#options.asks) this.#nextStep.lift();
    else this.#nextStep.set(Math.max(0, delayMs), this.#onStep);
  }

  #step(): void {
    if (this.#isClosed || this.#dial === null) return;
    switch (this.#link.kind) {
      case 'none':
        this.#open(this.#dial);
        break;
      case 'idle':
        this.#probe(this.#link.session);
        break;
      case 'opening':
        break;
      case 'probing':
        this.#isOverdue = true;
        break;
    }
  }

  #open(dial: DialAddress): void {
    const { now } = this.#options;
    const link: Link = { kind: 'opening', giveUp: new AbortController() };
    this.#link = link;
    this.#lastStepAtMs = now();
    const { account, timeoutMs } = this.#settings;
    this.#startDeadline(timeoutMs, 'no greeting or login');
    openControlSession({
      dial,
      memberHost: this.#options.target.host,
      account,
      connectTimeoutMs: 2 * timeoutMs,
      now,
      signal: link.giveUp.signal,
    }).then(
      (session) => {
        if (this.#link !== link) {
          session.close();
          return;
        }
        this.#deadline.lift();
        session.onEnd((failure) => {
          if (this.#sessionInUse() === session) this.#lose(failure);
        });
        if (this.#link === link) this.#probe(session);
      },
      (error: unknown) => {
        if (this.#link === link) this.#lose(toControlFailure(error));
      },
    );
  }

  #probe(session: ControlSession): void {
    const { now } = this.#options;
    const askedAtMs = now();
    const link: Link = { kind: 'probing', session, askedAtMs };
    this.#link = link;
    this.#lastStepAtMs = askedAtMs;
    this.#isHurried = false;
    this.#isOverdue = false;
    this.#schedule(this.#interval.of(this.#settings.intervalMs));
    this.#startDeadline(this.#settings.timeoutMs, 'no answer');
    session.probe(this.#settings.readsGtids).then(
      (outcome) => {
        if (this.#link !== link) return;
        this.#deadline.lift();
        this.#link = { kind: 'idle', session };
        this.#hastenNextProbe(askedAtMs);
        this.#accept(outcome, session);
      },
      (error: unknown) => {
        if (this.#link !== link) return;
        const failure = toControlFailure(error);
        if (failure.isFatal) {
          this.#lose(failure);
          return;
        }
        this.#deadline.lift();
        this.#link = { kind: 'idle', session };
        this.#schedule(this.#retryMs(failure));
        this.#fail(failure);
      },
    );
  }

  /** It comes at its time by itself, unless that has passed or somebody is in a hurry. */
  #hastenNextProbe(askedAtMs: number): void {
    if (this.#isOverdue) this.#schedule(0);
    else if (this.#isHurried)
      this.#schedule(Math.max(0, askedAtMs + this.#settings.hurryGapMs - this.#options.now()));
  }

  #accept({ answer, isRepeated }: ProbeOutcome, session: ControlSession): void {
    this.#refusals.answered(answer.askedAtMs, answer.superReadOnly);
    const before = this.#answer;
    this.#answer = answer;
    this.#lastProbeSeconds = (answer.answeredAtMs - answer.askedAtMs) / 1000;
    this.#lastAnswerAtMs = Date.now();
    this.#backoff.reset();
    const hadFailed = this.#failure !== null;
    this.#failure = null;
    if (hadFailed) this.#options.onTrouble(null);
    if (!isRepeated) this.#metadata?.notice(before, answer);
    if (session.lacksStats() && !this.#hasToldMissingStats) {
      this.#hasToldMissingStats = true;
      this.#options.onMissingStats();
    }
    this.#options.onObservation(
      `answer of ${this.address}`,
      hadFailed ? 'news' : isRepeated ? 'routine' : urgencyOf(before, answer),
    );
    this.#readMetadata(session);
  }

  #useMetadata({ metadata }: WatchSettings): void {
    if (metadata === null) this.#metadata = null;
    else if (this.#metadata !== null) this.#metadata.configure(metadata);
    else this.#metadata = new MetadataReader(metadata, this.#options.now);
  }

  /** Beside the probes: who is primary does not wait for it. */
  #readMetadata(session: ControlSession): void {
    const reader = this.#metadata;
    if (this.#isClosed || reader === null || !reader.isDue() || this.#sessionInUse() !== session) return;
    // A failure of the session shows in the session.
    const before = reader.reading;
    void session.readMetadata(reader).then(() => {
      if (this.#isClosed || this.#metadata !== reader) return;
      const { reading } = reader;
      const isSame = before?.state === reading?.state && before?.facts === reading?.facts;
      this.#options.onObservation(`metadata of ${this.address}`, isSame ? 'routine' : 'news');
    });
  }

  /** The session, or the attempt at one, is over. */
  #lose(failure: ControlFailure): void {
    const wasOpen = this.#sessionInUse() !== null;
    this.#dropLink();
    // A session that was good is tried again at once: it may have been ended by hand, or by an idle timeout.
    const isFirst = wasOpen && this.#failure === null;
    const waitMs = isFirst
      ? this.#lastStepAtMs + REOPEN_GAP_MS - this.#options.now()
      : this.#retryMs(failure);
    this.#schedule(Math.max(waitMs, leastWaitMs(failure)));
    // Whatever listens there now may be somebody else.
    if (failure.kind !== 'router-exhausted') this.#names.recheck();
    // The deadline has told that already.
    if (failure.kind !== 'timeout' || this.#failure?.kind !== 'timeout') this.#fail(failure);
  }

  /** To be refused costs nobody anything, and a server that starts should be seen as soon as it listens. */
  #retryMs(failure: ControlFailure): number {
    if (failure.errorNumber === ER_ACCOUNT_HAS_BEEN_LOCKED) return LOCKED_WAIT_MS;
    if (failure.kind === 'refused' || failure.kind === 'offline-mode')
      return withJitter(this.#settings.intervalMs, this.#options.random);
    return this.#backoff.nextMs();
  }

  #fail(failure: ControlFailure): void {
    const { kind, message, errorNumber } = failure;
    const label = kind.replaceAll('-', '_');
    this.#errorsByKind.set(label, (this.#errorsByKind.get(label) ?? 0) + 1);
    const isAnother = this.#failure?.kind !== kind;
    this.#failure = { kind, atMs: this.#options.now() };
    if (isAnother) this.#options.onTrouble({ kind, message, errorNumber });
    this.#options.onObservation(`${this.address}: ${kind}`, isAnother ? 'news' : 'routine');
  }

  /** Late is a failure to tell about, not a reason to leave: an answer that still comes is used. */
  #startDeadline(timeoutMs: number, what: string): void {
    this.#deadline.set(timeoutMs, () => {
      this.#fail(new ControlFailure('timeout', `${what} within ${timeoutMs} ms`));
      this.#startPatience();
      this.#names.recheck();
    });
  }

  /** What stays silent may have lost its way through the network while its member is well. */
  #startPatience(): void {
    this.#deadline.set(this.#link.kind === 'probing' ? PROBE_PATIENCE_MS : GREETING_PATIENCE_MS, () =>
      this.#lose(new ControlFailure('timeout', 'the control session has gone silent')),
    );
  }

  #sessionInUse(): ControlSession | null {
    return this.#link.kind === 'idle' || this.#link.kind === 'probing' ? this.#link.session : null;
  }

  #dropLink(): void {
    const link = this.#link;
    this.#link = NO_LINK;
    this.#deadline.lift();
    this.#nextStep.close();
    if (link.kind === 'opening') link.giveUp.abort();
    else if (link.kind !== 'none') link.session.close();
  }
}

/** Failed logins may lock an account; one that is locked already is hurt by no more of them. */
function leastWaitMs({ kind, errorNumber }: ControlFailure): number {
  if (kind !== 'access-denied') return 0;
  return errorNumber === ER_ACCOUNT_HAS_BEEN_LOCKED ? LOCKED_WAIT_MS : ACCESS_DENIED_WAIT_MS;
}

function urgencyOf(before: MemberAnswer | null, answer: MemberAnswer): Urgency {
  if (isNews(before, answer)) return 'news';
  return hasDrifted(before, answer) ? 'drift' : 'routine';
}

const NO_LINK: Link = { kind: 'none' };
/**
 * After its deadline an unanswered probe is waited for this long before another session is tried: where packets were lost for a
 * while, the kernel sends again after ever longer pauses, and a new session is there sooner than the old one wakes up.
 */
const PROBE_PATIENCE_MS = 3000;
/** Longer, because a server counts those that leave before they have logged in, and at 100 of them lets in nobody. */
const GREETING_PATIENCE_MS = 30_000;
/** A server that ends each session after its first answer is not hammered. */
const REOPEN_GAP_MS = 100;
const ACCESS_DENIED_WAIT_MS = 2000;
const ER_ACCOUNT_HAS_BEEN_LOCKED = 3118;
const LOCKED_WAIT_MS = 500;
