/**
 * A small strict reader of the Prometheus text format and of OpenMetrics: what a scraper would reject or misread, it
 * throws on. Sources: Prometheus' "Exposition formats" and the OpenMetrics 1.0 specification.
 */

export type ParsedFamily = {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: readonly ParsedSample[];
};

export type ParsedSample = {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
};

export type Format = 'prometheus' | 'openmetrics';

/** Families by name, in the order of the text. */
export function parseExposition(text: string, format: Format): ReadonlyMap<string, ParsedFamily> {
  if (!text.endsWith('\n')) throw new Error('the text must end with a line feed');
  const lines = text.slice(0, -1).split('\n');
  if (format === 'openmetrics' && lines.pop() !== '# EOF') throw new Error('OpenMetrics must end with # EOF');

  const families = new Map<string, ParsedFamily>();
  const seen = new Set<string>();
  let help: { readonly name: string; readonly text: string } | null = null;
  let current: (ParsedFamily & { samples: ParsedSample[] }) | null = null;
  for (const line of lines) {
    if (line === '') {
      if (format === 'openmetrics') throw new Error('OpenMetrics has no empty lines');
      continue;
    }
    const meta = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (meta !== null) {
      const [, keyword, name = '', rest = ''] = meta;
      if (keyword === 'HELP') {
        help = { name, text: rest };
        continue;
      }
      if (help?.name !== name) throw new Error(`TYPE without HELP: ${line}`);
      if (!/^(counter|gauge|histogram|summary)$/.test(rest)) throw new Error(`unknown type: ${line}`);
      if (families.has(name)) throw new Error(`${name} appears twice`);
      current = { name, type: rest, help: help.text, samples: [] };
      families.set(name, current);
      continue;
    }
    if (line.startsWith('#')) throw new Error(`unexpected comment: ${line}`);
    const sample = parseSample(line);
    if (current === null || !allowedNames(current, format).includes(sample.name)) {
      throw new Error(`sample outside its family: ${line}`);
    }
    const identity = line.slice(0, line.lastIndexOf(' '));
    if (seen.has(identity)) throw new Error(`sample twice: ${identity}`);
    seen.add(identity);
    if (current.type === 'counter' && sample.value < 0) throw new Error(`negative counter: ${line}`);
    current.samples.push(sample);
  }
  for (const family of families.values()) if (family.type === 'histogram') checkHistogram(family);
  return families;
}

function allowedNames({ name, type }: ParsedFamily, format: Format): readonly string[] {
  if (type === 'histogram') return [`${name}_bucket`, `${name}_sum`, `${name}_count`];
  if (type === 'counter' && format === 'openmetrics') return [`${name}_total`];
  return [name];
}

function parseSample(line: string): ParsedSample {
  const head = /^([a-zA-Z_:][a-zA-Z0-9_:]*)/.exec(line);
  if (head === null) throw new Error(`no metric name: ${line}`);
  const name = head[0];
  let rest = line.slice(name.length);
  const labels = new Map<string, string>();
  if (rest.startsWith('{')) {
    rest = rest.slice(1);
    while (!rest.startsWith('}')) {
      const pair = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\["\\n])*)"(,(?=[a-zA-Z_])|(?=\}))/.exec(rest);
      if (pair === null) throw new Error(`bad label: ${line}`);
      const [whole, label = '', value = ''] = pair;
      if (labels.has(label)) throw new Error(`label twice: ${line}`);
      labels.set(
        label,
        value.replace(/\\(["\\n])/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped)),
      );
      rest = rest.slice(whole.length);
    }
    rest = rest.slice(1);
  }
  // prom-client writes `Nan` for an event loop that has not been measured yet; scrapers read it in any case.
  const number = /^ (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|[+-]Inf|N[Aa][Nn])$/.exec(rest);
  if (number === null) throw new Error(`bad value: ${line}`);
  const [, text = ''] = number;
  const value = text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text);
  return { name, labels, value };
}

/** Buckets rise with their bounds, the last is +Inf, and it equals the count. */
function checkHistogram(family: ParsedFamily): void {
  const groups = new Map<string, { bounds: number[]; counts: number[]; count: number; sum: number }>();
  for (const { name, labels, value } of family.samples) {
    const key = JSON.stringify([...labels].filter(([label]) => label !== 'le').sort());
    const group = groups.get(key) ?? { bounds: [], counts: [], count: NaN, sum: NaN };
    groups.set(key, group);
    if (name.endsWith('_bucket')) {
      const le = labels.get('le') ?? '';
      group.bounds.push(le === '+Inf' ? Infinity : Number(le));
      group.counts.push(value);
    } else if (name.endsWith('_count')) group.count = value;
    else group.sum = value;
  }
  for (const [key, { bounds, counts, count, sum }] of groups) {
    const place = `${family.name} ${key}`;
    if (bounds.some((bound, index) => !(bound > (bounds[index - 1] ?? -Infinity)))) {
      throw new Error(`bounds do not rise: ${place}`);
    }
    if (bounds.at(-1) !== Infinity) throw new Error(`no +Inf bucket: ${place}`);
    if (counts.some((value, index) => value < (counts[index - 1] ?? 0))) {
      throw new Error(`buckets are not cumulative: ${place}`);
    }
    if (counts.at(-1) !== count) throw new Error(`+Inf differs from _count: ${place}`);
    if (Number.isNaN(sum)) throw new Error(`no _sum: ${place}`);
  }
}
