/** What the sources of the configuration are made into: maps, lists and values, as a YAML file has them. */

/** A place in the tree: map keys and list indexes. */
export type Path = readonly (string | number)[];

/** A map of keys, as YAML and JSON make it. */
export function isTree(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
