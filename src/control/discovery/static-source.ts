/** Addresses the configuration names: always there, never failing. */
import { bareDestination } from '../../../routing/destinations.ts';
import { type CreateSource, createSourceLedger } from './source.ts';

/** @param addresses "host:port", in the order of preference */
export function createStaticSource(label: string, addresses: readonly string[]): CreateSource {
  return ({ onReport }) => {
    const ledger = createSourceLedger('static', label, onReport);
    ledger.succeed(addresses.map(bareDestination));
    return {
      report: ledger.report,
      refresh: stayAsItIs,
      close: stayAsItIs,
    };
  };
}

function stayAsItIs(): void {
  // A list in the configuration changes with the configuration only.
}
