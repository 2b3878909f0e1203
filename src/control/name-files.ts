/**
 * What /etc/hosts and /etc/resolv.conf say about names.
 */

/** Addresses by lower-case name, in the order of the file. */
export function parseHostsFile(text: string): ReadonlyMap<string, readonly string[]> {
  const addresses = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [address, ...names] = line
      .replace(/#.*/, '')
      .split(/\s+/)
      .filter((word) => word !== '');
    if (address === undefined) continue;
    for (const name of names) {
      const known = addresses.get(name.toLowerCase());
      if (known === undefined) addresses.set(name.toLowerCase(), [address]);
      else known.push(address);
    }
  }
  return addresses;
}

/** How a short name is completed. */
export type SearchRules = {
  readonly domains: readonly string[];
  /** A name with at least this many dots is first asked for as it is; 1 unless the file says otherwise. */
  readonly ndots: number;
};

export function parseResolvConf(text: string): SearchRules {
  let domains: readonly string[] = [];
  let ndots = 1;
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    // The last of `search` and `domain` counts.
    if (keyword === 'search' || keyword === 'domain') domains = values;
    if (keyword !== 'options') continue;
    for (const option of values) {
      const dots = /^ndots:(\d+)$/.exec(option)?.[1];
      if (dots !== undefined) ndots = Math.min(Number(dots), MAX_NDOTS);
    }
  }
  return { domains: domains.filter((domain) => domain !== '.'), ndots };
}

/** The full names to ask for, in order. */
export function namesToAsk(name: string, rules: SearchRules): readonly string[] {
  if (name.endsWith('.')) return [name.slice(0, -1)];
  const completed = rules.domains.map((domain) => `${name}.${domain.replace(/\.$/, '')}`);
  const dots = name.split('.').length - 1;
  return dots >= rules.ndots ? [name, ...completed] : [...completed, name];
}

/** As in resolv.conf(5). */
const MAX_NDOTS = 15;
