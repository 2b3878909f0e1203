/** `npm run bench:failover -- …` */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { EVENTS, type FailoverEvent } from './events.ts';
import { type ContenderKind, PROXIES } from './proxies.ts';

export type FailoverOptions = {
  readonly events: readonly FailoverEvent[];
  readonly proxies: readonly ContenderKind[];
  readonly resultPath: string;
};

const QUICK_EVENTS = ['set-as-primary', 'sigkill'];

export const USAGE = `npm run bench:failover -- [options]
  --events a,b   of ${EVENTS.map(({ name }) => name).join(', ')}; default all
  --only a,b     the same
  --proxies a,b  of ${PROXIES.map(({ name }) => name).join(', ')}; default all
  --quick        ${QUICK_EVENTS.join(' and ')} only, to see that it works; its result is not kept with the sources
  --output file  where figures are kept; events that are played replace those of before there.
                 Default bench/results/failover.json
All proxies stand before the same group at the same time, each with clients of its own: the blow is the same for all.
`;

/** @throws Error that says what is wrong */
export function parseOptions(args: readonly string[]): FailoverOptions | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      events: { type: 'string' },
      only: { type: 'string' },
      proxies: { type: 'string' },
      quick: { type: 'boolean', default: false },
      output: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const names = values.events ?? values.only ?? (values.quick ? QUICK_EVENTS.join(',') : undefined);
  return {
    events: names === undefined ? EVENTS : pick('event', names, EVENTS),
    proxies: values.proxies === undefined ? PROXIES : pick('proxy', values.proxies, PROXIES),
    resultPath: values.output ?? (values.quick ? QUICK_RESULT : LATEST_RESULT),
  };
}

function pick<T extends { readonly name: string }>(
  what: string,
  text: string,
  from: readonly T[],
): readonly T[] {
  return text.split(',').map((name) => {
    const found = from.find((candidate) => candidate.name === name.trim());
    if (found !== undefined) return found;
    throw new Error(`no ${what} ${name}; there are ${from.map((candidate) => candidate.name).join(', ')}`);
  });
}

export const LATEST_RESULT = join(import.meta.dirname, '..', 'results', 'failover.json');
const QUICK_RESULT = join(import.meta.dirname, '..', '..', '.cache', 'bench', 'failover-quick.json');
