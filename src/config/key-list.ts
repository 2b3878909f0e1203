/**
 * The schema as a flat list of keys with their names in each source: path, environment variable, flag.
 */
import { z } from 'zod';
import { type KeyFacts, keyFacts } from './keys.ts';
import { configSchema } from './schema.ts';

export type Key = KeyFacts & {
  /** "hold.timeout"; items of a list carry [] instead of an index: "routes[].name". */
  readonly path: string;
  /** `FAIRLEAD_HOLD_TIMEOUT`; null for the keys of a route, which are given together. */
  readonly environment: string | null;
  /** `--hold-timeout`; null for the keys of a route. */
  readonly flag: string | null;
};

export type Section = { readonly path: string; readonly doc: string };

/** Every key that takes a value, in the order of the schema. */
export function listKeys(): readonly Key[] {
  return keysUnder(configSchema, '');
}

/** Every map of keys, with one sentence. */
export function listSections(): readonly Section[] {
  return Object.entries(configSchema.shape)
    .filter(([, schema]) => keyFacts.get(schema) === undefined)
    .map(([path, schema]) => ({ path, doc: schema.description ?? '' }));
}

/** What is known of the key at `path`, where list indexes are written as [] or as numbers. */
export function factsAt(path: string): KeyFacts | undefined {
  const wanted = path.replace(/\[\d+\]/g, '[]');
  return listKeys().find((key) => key.path === wanted);
}

/** The keys a map at `path` knows, without the path itself; null when there is no such map. */
export function knownKeysOf(path: string): readonly string[] | null {
  const prefix = path === '' ? '' : `${path.replace(/\[\d+\]/g, '[]')}.`;
  const names = [...listKeys().map((key) => key.path), ...listSections().map((section) => section.path)]
    .filter((key) => key.startsWith(prefix))
    .map((key) => key.slice(prefix.length).replace(/[.[].*$/, ''));
  return names.length === 0 ? null : [...new Set(names)];
}

function keysUnder(schema: z.core.$ZodType, path: string): readonly Key[] {
  const facts = keyFacts.get(schema);
  const own = facts === undefined ? [] : [{ ...facts, path, ...namesOf(path) }];
  if (schema instanceof z.ZodPrefault) return [...own, ...keysUnder(schema.unwrap(), path)];
  if (schema instanceof z.ZodArray) return [...own, ...keysUnder(schema.element, `${path}[]`)];
  if (schema instanceof z.ZodUnion && facts?.kind === 'seed') {
    return [...own, ...schema.options.flatMap((option) => keysUnder(option, path))];
  }
  if (!(schema instanceof z.ZodObject)) return own;
  const shape: Readonly<Record<string, z.core.$ZodType>> = schema.shape;
  const under = Object.entries(shape).flatMap(([name, child]) =>
    keysUnder(child, path === '' ? name : `${path}.${name}`),
  );
  return [...own, ...under];
}

function namesOf(path: string): Pick<Key, 'environment' | 'flag'> {
  if (path.includes('[]')) return { environment: null, flag: null };
  const words = path.replace(/\./g, '-').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return {
    environment: `FAIRLEAD_${words.replace(/-/g, '_').toUpperCase()}`,
    // One flag is one route.
    flag: path === 'routes' ? '--route' : `--${words}`,
  };
}
