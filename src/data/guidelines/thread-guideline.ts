/** The routing guideline as one data thread works with it: members are grouped once for each topology. */
import type { GuidelineRoute } from '../../../routing/guidelines/guideline.ts';
import { type ClassMembers, classify } from '../../../routing/guidelines/members.ts';
import {
  type LoginFacts,
  matchSession,
  type RouteMatch,
  type SessionOrigin,
} from '../../../routing/guidelines/sessions.ts';
import type { Topology } from '../../../routing/topology.ts';
import type { GuidelineInForce } from '../../shared/guideline.ts';

export class ThreadGuideline {
  readonly inForce: GuidelineInForce;
  readonly classes: ClassMembers;
  readonly #onProblem: (problem: string) => void;

  /** @param onProblem told of what could not be evaluated; often the same, so it is to be limited */
  constructor(inForce: GuidelineInForce, topology: Topology, onProblem: (problem: string) => void) {
    this.inForce = inForce;
    this.#onProblem = onProblem;
    this.classes = classify(inForce.guideline, inForce.router, topology, onProblem);
  }

  get name(): string {
    return this.inForce.guideline.name;
  }

  match(origin: SessionOrigin, login: LoginFacts | null): RouteMatch {
    const { guideline, router } = this.inForce;
    return matchSession(guideline, router, origin, login, this.#onProblem);
  }

  /** Of a route of this guideline. */
  slotOf(route: GuidelineRoute): number {
    return this.inForce.slots[this.inForce.guideline.routes.indexOf(route)] ?? 0;
  }
}
