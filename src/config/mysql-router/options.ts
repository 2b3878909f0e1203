/** Options of one section, each taken once: what nobody took has no counterpart here, and is told. */
export type OptionReader = {
  /** In quotes or not. */
  take(option: string): string | undefined;
  /** A whole number; null without one. */
  number(option: string): number | null;
  /** Those not taken so far. */
  rest(): readonly string[];
};

/** One sentence about what could not be taken over. */
export type Note = string;

export function createOptionReader(options: ReadonlyMap<string, string>): OptionReader {
  const left = new Set(options.keys());
  const take = (option: string): string | undefined => {
    left.delete(option);
    return options.get(option)?.replace(/^(['"])(.*)\1$/, '$2');
  };
  return {
    take,
    number(option) {
      const value = take(option);
      return value !== undefined && /^\d{1,15}$/.test(value) ? Number(value) : null;
    },
    rest: () => [...left],
  };
}
