/**
 * Members by name. A name with several addresses stands for as many members; one with a single address is a member that
 * is followed by its name, wherever the name moves. With SRV records every target is a member with a name of its own.
 */
import { addressOf } from '../../../routing/address.ts';
import { bareDestination, type Destination } from '../../../routing/destinations.ts';
import type { DnsSeed } from '../../config/config.ts';
import { beforeExpiry } from '../pace.ts';
import type { NameResolver } from '../resolver.ts';
import { createPoll, type PollAnswer } from './poll.ts';
import { type CreateSource, createSourceLedger, type SourceFailure } from './source.ts';

/**
 * @param kind `static` for a seed that is a host and a port: its member tells by itself that its name does not resolve
 * @param label what the source is called
 */
export function createAddressSource(
  kind: 'static' | 'dns',
  label: string,
  name: string,
  port: number,
): CreateSource {
  // As long as nothing is known, the name itself is the member that is waited for.
  const byName = [bareDestination(addressOf(name, port))];
  return ({ resolver, now, random, onReport }) => {
    const ledger = createSourceLedger(kind, label, onReport, byName);
    let hasHadSeveral = false;
    const look = async (): Promise<PollAnswer> => {
      const found = await resolver.lookupAll(name);
      if (found.kind === 'not-found') return { kind: 'failed', failure: notFound(name, found.code) };
      hasHadSeveral ||= found.hosts.length > 1;
      const destinations = hasHadSeveral
        ? found.hosts.map((host) => bareDestination(addressOf(host, port)))
        : byName;
      return { kind: 'found', destinations, nextMs: beforeExpiry(found.ttlMs, random) };
    };
    return createPoll({ ledger, look, now, random });
  };
}

export type ServiceSourceSettings = { readonly intervalMs: number };

export function createServiceSource(
  label: string,
  seed: Pick<DnsSeed, 'name' | 'service' | 'targetPrefix'>,
  settings: ServiceSourceSettings,
): CreateSource {
  const { name, service, targetPrefix } = seed;
  const asked = name.startsWith('_') ? name : `_${service}._tcp.${name}`;
  return ({ resolver, now, random, onReport }) => {
    const ledger = createSourceLedger('dns', label, onReport);
    const look = async (): Promise<PollAnswer> => {
      const records = await servicesOf(resolver, asked);
      if (records.kind === 'failed') return records;
      const destinations = records.destinations.filter(({ address }) => address.startsWith(targetPrefix));
      if (destinations.length === 0) {
        const message = `no target of ${asked} begins with ${targetPrefix}`;
        return { kind: 'failed', failure: { code: 'no_target', message } };
      }
      return { kind: 'found', destinations, nextMs: beforeExpiry(settings.intervalMs, random) };
    };
    return createPoll({ ledger, look, now, random });
  };
}

type Services =
  | { readonly kind: 'found'; readonly destinations: readonly Destination[] }
  | { readonly kind: 'failed'; readonly failure: SourceFailure };

/** By priority, then by name in natural order: what goes by the order of the list finds the same one each time. */
async function servicesOf(resolver: NameResolver, asked: string): Promise<Services> {
  const found = await resolver.lookupServices(asked);
  if (found.kind === 'not-found') return { kind: 'failed', failure: notFound(asked, found.code) };
  // A target of "." says that there is no such service.
  const usable = found.services.filter(({ host, port }) => host !== '' && port > 0);
  if (usable.length === 0) return { kind: 'failed', failure: notFound(asked, 'ENODATA') };
  const sorted = usable.toSorted(
    (a, b) => a.priority - b.priority || NATURAL_ORDER.compare(a.host, b.host) || a.port - b.port,
  );
  const destinations = sorted.map(({ host, port, weight }) => ({
    ...bareDestination(addressOf(host, port)),
    isFullName: true,
    weight,
  }));
  return { kind: 'found', destinations };
}

function notFound(name: string, code: string): SourceFailure {
  return { code, message: `the name ${name} does not resolve: ${code}` };
}

const NATURAL_ORDER = new Intl.Collator('en', { numeric: true });
