/**
 * What one data thread knows of reaching the members by one protocol: where to dial, who is set aside, who waits. Each
 * protocol has its own, because a member whose X port is dead may be in the best of health for everybody else.
 */
import { createFailedMembers, type FailedMembers } from '../../routing/failed-members.ts';
import { createFullMembers, type FullMembers } from '../../routing/full-members.ts';
import { createQuarantine, type Quarantine, type QuarantineSettings } from '../../routing/quarantine.ts';
import { EMPTY_TOPOLOGY, type Member, type Topology } from '../../routing/topology.ts';
import { asReachedByX } from '../../routing/x-listeners.ts';
import type { RouteProtocol } from '../config/config.ts';
import { FIRST_WORDS, type FirstWord } from './first-word.ts';
import { createGreetingPace, type GreetingPace } from './greeting-pace.ts';
import { createHoldQueue, type HoldQueue } from './hold.ts';
import { Readmission } from './readmission.ts';
import type { ThreadContext } from './thread-context.ts';

export class Reachability {
  readonly protocol: RouteProtocol;
  readonly firstWord: FirstWord;
  readonly quarantine: Quarantine;
  readonly fullMembers: FullMembers = createFullMembers();
  /** For routes of strategy `next-available`. */
  readonly failedMembers: FailedMembers = createFailedMembers();
  readonly holdQueue: HoldQueue = createHoldQueue();
  readonly greetingPace: GreetingPace = createGreetingPace();
  readonly readmission: Readmission;
  #topology: Topology = EMPTY_TOPOLOGY;

  constructor(context: ThreadContext, protocol: RouteProtocol, settings: QuarantineSettings) {
    this.protocol = protocol;
    this.firstWord = FIRST_WORDS[protocol];
    this.quarantine = createQuarantine(settings);
    this.readmission = new Readmission(context, this);
  }

  /** The topology of the moment; its members' `dial` is where this protocol is spoken. */
  topology(): Topology {
    return this.#topology;
  }

  /** Not to be tried while there are others. */
  readonly isSetAside = (member: Member): boolean =>
    this.quarantine.isQuarantined(member) || this.fullMembers.isLeftAlone(member, performance.now());

  adopt(topology: Topology): void {
    this.#topology = this.protocol === 'x' ? asReachedByX(topology) : topology;
    this.readmission.onTopology(this.#topology);
    this.failedMembers.reset(this.#topology);
  }

  close(): void {
    this.readmission.close();
    this.holdQueue.close();
  }
}
