/**
 * The sources of configuration laid over one another: flags > environment > file. What is left is one tree as a file
 * would have given it, and for every value the place it came from.
 */
import { type Key, listKeys, listSections } from './key-list.ts';
import type { KeyKind } from './keys.ts';
import { NOWHERE, type Problem, showValue } from './problems.ts';
import { parseRouteText, parseSeedText } from './route-text.ts';
import { seedList } from './seed-text.ts';
import { closest } from './suggest.ts';
import { isTree, type Path } from './tree.ts';
import type { YamlFile } from './yaml-file.ts';

/** What all sources say. */
export type SourceTexts = {
  /** Null when no file was named. */
  readonly file: YamlFile | null;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Values of flags by path of the key ("hold.timeout"), in the order they were given. */
  readonly flags: Readonly<Record<string, readonly string[]>>;
};

export type Layers = {
  readonly tree: Readonly<Record<string, unknown>>;
  readonly problems: readonly Problem[];
  /** False when the file could not be understood: judging the tree would only report what is missing from it. */
  readonly isUsable: boolean;
  /** Where the value at `path` was written; its key with `part` 'key'. */
  originOf(path: Path, part?: 'key' | 'value'): string;
};

/** One value of the environment or a flag. */
type Given = { readonly key: Key; readonly value: unknown; readonly origin: string };

export function layer(texts: SourceTexts): Layers {
  const { file } = texts;
  const problems: Problem[] = [...(file?.problems ?? []), ...unknownVariables(texts.environment)];
  const given: Given[] = [];
  for (const key of listKeys()) {
    const written = givenFor(key, texts);
    if (written === null) continue;
    const value = valueOfTexts(key.kind, written.texts);
    if (value.kind === 'value') given.push({ key, value: value.value, origin: written.origin });
    else problems.push({ key: key.path, ...value, origin: written.origin });
  }
  return {
    tree: merge(file?.tree ?? {}, given),
    problems,
    isUsable: file?.isUsable ?? true,
    originOf: (path, part = 'value') => originOf(path, part, given, file),
  };
}

/** "routes[1].listen" of ['routes', 1, 'listen']. */
export function pathText(path: Path): string {
  return path.reduce<string>((text, step) => {
    if (typeof step === 'number') return `${text}[${step}]`;
    return text === '' ? step : `${text}.${step}`;
  }, '');
}

/** The texts that count for a key outside the file: flags before the environment. An empty variable is an unset one. */
function givenFor(key: Key, texts: SourceTexts): { texts: readonly string[]; origin: string } | null {
  const flags = texts.flags[key.path] ?? [];
  if (flags.length > 0) return { texts: flags, origin: `flag ${key.flag}` };
  const variable = key.environment === null ? undefined : texts.environment[key.environment];
  if (variable === undefined || variable === '') return null;
  return { texts: [variable], origin: `environment variable ${key.environment}` };
}

type TextValue =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'malformed'; readonly value: string; readonly rule: string };

/** What the file would have said. Of a flag given twice the last counts, except where a key is a list. */
function valueOfTexts(kind: KeyKind, texts: readonly string[]): TextValue {
  const last = texts.at(-1) ?? '';
  switch (kind) {
    case 'integer':
    case 'size':
    case 'threads':
      return { kind: 'value', value: /^\d{1,15}$/.test(last) ? Number(last) : last };
    case 'boolean':
      return { kind: 'value', value: last === 'true' ? true : last === 'false' ? false : last };
    case 'seeds':
    case 'name-servers':
      return { kind: 'value', value: texts.flatMap(parseSeedText) };
    case 'routes': {
      const routes: unknown[] = [];
      for (const text of texts) {
        const parsed = parseRouteText(text);
        if (parsed.kind === 'malformed') return { ...parsed, value: showValue(text) };
        routes.push(...parsed.routes);
      }
      return { kind: 'value', value: routes };
    }
    default:
      return { kind: 'value', value: last };
  }
}

function merge(tree: Readonly<Record<string, unknown>>, given: readonly Given[]): Record<string, unknown> {
  const merged: Record<string, unknown> = structuredClone(tree);
  // "hold:" with nothing beneath is a section whose keys have all been commented out.
  for (const { path } of listSections()) if (merged[path] === null) delete merged[path];
  for (const { key, value } of given) {
    const [section = '', name] = key.path.split('.');
    if (name === undefined) {
      merged[section] = value;
      continue;
    }
    const existing = merged[section] ?? {};
    // A section that is no map stays as it is: it is the problem to report.
    if (isTree(existing)) merged[section] = { ...existing, [name]: value };
  }
  const cluster = merged['cluster'];
  if (isTree(cluster) && Object.hasOwn(cluster, 'seeds')) {
    merged['cluster'] = { ...cluster, seeds: seedList(cluster['seeds']) };
  }
  return merged;
}

function originOf(path: Path, part: 'key' | 'value', given: readonly Given[], file: YamlFile | null): string {
  const text = pathText(path);
  const source = given.find(({ key }) => text === key.path || text.startsWith(`${key.path}[`));
  return source?.origin ?? positionIn(file, path, part) ?? NOWHERE;
}

/** A seed may stand without the list around it, or on one line without the keys beneath it. */
function positionIn(file: YamlFile | null, path: Path, part: 'key' | 'value'): string | null {
  if (file === null) return null;
  const exact = file.positionOf(path, part);
  if (exact !== null || path[0] !== 'cluster' || path[1] !== 'seeds' || path.length < 3) return exact;
  const withoutList = [...path.slice(0, 2), ...path.slice(3)];
  const places = [withoutList, path.slice(0, 3), path.slice(0, 2)];
  return places.map((place) => file.positionOf(place, part)).find((position) => position !== null) ?? null;
}

/** FAIRLEAD_… variables that are no key are mistakes, except those others put there. */
function unknownVariables(environment: SourceTexts['environment']): readonly Problem[] {
  const known = new Set(listKeys().flatMap((key) => key.environment ?? []));
  return Object.keys(environment)
    .filter((name) => name.startsWith('FAIRLEAD_') && !known.has(name) && !isForeignVariable(name))
    .map((name): Problem => {
      const suggestion = closest(
        name.slice('FAIRLEAD_'.length),
        [...known].map((key) => key.slice('FAIRLEAD_'.length)),
      );
      return {
        key: '',
        value: null,
        rule: `is not a known variable${suggestion === null ? '' : `; did you mean FAIRLEAD_${suggestion}?`}`,
        origin: `environment variable ${name}`,
      };
    });
}

/**
 * Kubernetes gives every pod variables for every Service of its namespace: a Service named "fairlead" makes
 * FAIRLEAD_SERVICE_HOST, FAIRLEAD_PORT_6446_TCP_ADDR and their like. The rest belongs to the program around the router.
 */
function isForeignVariable(name: string): boolean {
  const words = name.slice('FAIRLEAD_'.length);
  return (
    /^(?:.*_)?SERVICE_(?:HOST|PORT(?:_.*)?)$/.test(words) ||
    /^(?:.*_)?PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?$/.test(words) ||
    /^(?:CONFIG|MYSQLD|CACHE|DEBIAN_MIRROR|(?:SANDBOX|DEMO|TEST|BENCH)(?:_.*)?)$/.test(words)
  );
}
