/** The routing guideline as `/api/v1/status` shows it: which routes and classes there are, and who is in them now. */
import { classify } from '../../routing/guidelines/members.ts';
import type { Topology } from '../../routing/topology.ts';
import { THREAD } from '../shared/counters.ts';
import type { GuidelineFacts } from '../shared/guideline.ts';
import type { CounterReader } from './metrics/counter-reader.ts';

/** Null where no guideline is configured. */
export function guidelineBody(
  facts: GuidelineFacts | undefined,
  topology: Topology,
  counters: CounterReader,
): unknown {
  if (facts === undefined || facts.source === null) return null;
  const { inForce, source, problem } = facts;
  if (inForce === null) return { name: null, source, problem, routes: [], destinations: [] };
  const { guideline, router, slots } = inForce;
  // What cannot be evaluated is told by the data threads.
  const classes = classify(guideline, router, topology, () => undefined);
  return {
    name: guideline.name,
    source,
    problem,
    routes: guideline.routes.map(({ name, text, groups }, index) => ({
      name,
      match: text,
      groups,
      sessions: counters.sum(THREAD.guidelineSessions + (slots[index] ?? 0)),
    })),
    destinations: guideline.destinations.map(({ name, text }) => ({
      name,
      match: text,
      members: (classes.get(name) ?? []).map(({ address }) => address),
    })),
  };
}
