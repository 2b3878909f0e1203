/**
 * Which cluster is meant, after a reload that names other seeds. What was followed is followed on until these have spoken:
 * mostly they lead to the same cluster, and then nobody should notice.
 */
import { isHeard, type Observation } from '../../routing/observations.ts';
import type { SourceReport } from './discovery/source.ts';

/**
 * Whether all who have a say have been heard, and somebody among them has answered: seeds that all turn out to be wrong
 * change nothing.
 *
 * @param named of the addresses that sources name
 */
export function haveSpoken(
  sources: readonly SourceReport[],
  named: readonly (Observation | undefined)[],
): boolean {
  const haveSourcesAnswered = sources.every(
    ({ lastSuccessAtMs, failure }) => lastSuccessAtMs !== null || failure !== null,
  );
  return haveSourcesAnswered && named.every(hasSpoken) && named.some((one) => one?.failure === null);
}

/** Whoever answers is waited for until its metadata has been read, too: it says more of a cluster than a group does. */
function hasSpoken(observation: Observation | undefined): boolean {
  return isHeard(observation) && (observation?.metadata !== null || observation.failure !== null);
}
