/** What an operator reads of a source: that it found something else, that it fails, that it is well again. */
import type { EventLog } from '../../shared/events.ts';
import type { SourceReport } from './source.ts';

export function recordReport(events: EventLog, report: SourceReport): void {
  const { name, kind, destinations, failure } = report;
  // Members that stand in the configuration are told of as members, until one stays where its name no longer leads.
  const isTold = failure === null ? report.failures === 0 : report.lastSuccessAtMs === null;
  const level = kind === 'static' && isTold ? 'debug' : null;
  const fields = { source: name, source_kind: kind, addresses: destinations.length };
  if (failure === null) {
    const found = destinations.map(({ address }) => address);
    const shown = found.slice(0, MAX_SHOWN).join(', ') + (found.length > MAX_SHOWN ? ', …' : '');
    events.record(level ?? 'info', 'discovery_found', `${name}: ${found.length} addresses: ${shown}`, fields);
    return;
  }
  const kept = destinations.length === 0 ? 'nothing is known yet' : `${destinations.length} addresses stay`;
  events.record(level ?? 'warn', 'discovery_failed', `${name}: ${failure.message}; ${kept}`, {
    ...fields,
    failure: failure.code,
  });
}

/** Addresses in one line of the log. */
const MAX_SHOWN = 10;
