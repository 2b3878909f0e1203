/**
 * Numbers in a query string: unknown text until they are in range.
 */
export type CountParameter = {
  readonly name: string;
  readonly default: number;
  readonly min: number;
  readonly max: number;
};

export type CountResult =
  | { readonly kind: 'count'; readonly value: number }
  | { readonly kind: 'bad'; readonly message: string };

/** Reads a whole number; a missing one is the default, anything else out of range or shape is an error naming the rule. */
export function parseCount(query: URLSearchParams, parameter: CountParameter): CountResult {
  const text = query.get(parameter.name);
  if (text === null) return { kind: 'count', value: parameter.default };
  const value = Number(text);
  if (/^\d{1,15}$/.test(text) && value >= parameter.min && value <= parameter.max) {
    return { kind: 'count', value };
  }
  return {
    kind: 'bad',
    message: `${parameter.name} must be a whole number from ${parameter.min} to ${parameter.max}`,
  };
}
