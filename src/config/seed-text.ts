/**
 * Seeds as they may be written, brought into the one form schema.ts judges: a list whose items are "host:port" or maps
 * with the key dns or kubernetes. One map may stand without a list around it, and a map may be written on one line:
 * `dns://name:3306`, `srv://name?targetPrefix=db-`, `kubernetes://namespace/service?port=mysql`.
 */
import { isTree } from './tree.ts';

/** @param written what stands at `cluster.seeds`; anything that is no seed is left for the schema to refuse */
export function seedList(written: unknown): unknown {
  const items: unknown = isTree(written) ? [written] : written;
  return Array.isArray(items) ? items.map(seedTree) : items;
}

function seedTree(item: unknown): unknown {
  if (typeof item !== 'string') return item;
  const [, scheme] = /^(dns|srv|kubernetes):\/\//.exec(item) ?? [];
  const url = scheme === undefined ? null : URL.parse(item);
  if (url === null || url.username !== '' || url.password !== '' || url.hash !== '') return item;
  const facts: Record<string, unknown> = {};
  for (const [key, value] of url.searchParams) define(facts, key, plainValue(value));
  if (scheme === 'kubernetes') {
    define(facts, 'service', url.pathname.replace(/^\//, ''));
    if (url.hostname !== '') define(facts, 'namespace', url.hostname);
    return { kubernetes: facts };
  }
  // A path has no meaning here.
  if (url.pathname !== '' && url.pathname !== '/') return item;
  define(facts, 'name', url.hostname);
  if (url.port !== '') define(facts, 'port', Number(url.port));
  if (scheme === 'srv') define(facts, 'srv', true);
  return { dns: facts };
}

function plainValue(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true';
  return /^\d{1,5}$/.test(text) ? Number(text) : text;
}

/** A key such as __proto__ has to end up as an unknown key, not as the prototype. */
function define(tree: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(tree, key, { value, enumerable: true, configurable: true, writable: true });
}
