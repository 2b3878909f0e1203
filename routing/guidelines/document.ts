/** Reads a routing guideline: everything that is wrong with it is said at once. */

import { type Expression, ExpressionError, typeOf } from './expression.ts';
import { visit } from './expression-parts.ts';
import {
  type DestinationClass,
  type DestinationGroup,
  type GuidelineProblem,
  type GuidelineRoute,
  MAX_GUIDELINE_ROUTES,
  type ParsedGuideline,
} from './guideline.ts';
import { parseExpression } from './parser.ts';

export function parseGuideline(text: string): ParsedGuideline {
  if (text.length > MAX_TEXT)
    return { ok: false, problems: [{ at: '', message: `has more than ${MAX_TEXT} characters` }] };
  try {
    return guidelineOf(JSON.parse(text));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return { ok: false, problems: [{ at: '', message: `is no JSON: ${error.message}` }] };
  }
}

/** @param document parsed JSON */
export function guidelineOf(document: unknown): ParsedGuideline {
  const problems: GuidelineProblem[] = [];
  const reader = new Reader(problems);
  if (!isRecord(document)) {
    reader.refuse('', 'must be an object with version, name, destinations and routes');
    return { ok: false, problems };
  }
  reader.expectFields(document, '', ['version', 'name', 'destinations', 'routes']);
  const { version } = document;
  if (version !== undefined && (typeof version !== 'string' || !VERSIONS.includes(version)))
    reader.refuse('version', `must be one of ${VERSIONS.join(', ')}, and is ${JSON.stringify(version)}`);
  const name = reader.text(document, '', 'name');
  const destinations = reader
    .items(document, '', 'destinations')
    .flatMap(([at, item]) => reader.destination(at, item));
  const routes = reader.items(document, '', 'routes').flatMap(([at, item]) => reader.route(at, item));
  if (routes.length > MAX_GUIDELINE_ROUTES)
    reader.refuse('routes', `has ${routes.length} items, and ${MAX_GUIDELINE_ROUTES} are supported`);
  reader.expectUnique('destinations', destinations);
  reader.expectUnique('routes', routes);
  const classes = new Set(destinations.map((destination) => destination.name));
  for (const [index, route] of routes.entries())
    reader.expectClasses(`routes[${index}]`, route.groups, classes);
  if (problems.length > 0) return { ok: false, problems };
  const enabled = routes.filter((route) => route.isEnabled);
  return {
    ok: true,
    guideline: {
      name,
      destinations,
      routes: enabled.map(({ name: routeName, text, match, groups }) => ({
        name: routeName,
        text,
        match,
        groups,
      })),
    },
  };
}

type Row = Readonly<Record<string, unknown>>;

class Reader {
  readonly #problems: GuidelineProblem[];

  constructor(problems: GuidelineProblem[]) {
    this.#problems = problems;
  }

  refuse(at: string, message: string): void {
    this.#problems.push({ at, message });
  }

  destination(at: string, row: Row): readonly DestinationClass[] {
    this.expectFields(row, at, ['name', 'match']);
    const name = this.text(row, at, 'name');
    const text = this.text(row, at, 'match');
    const match = this.#match(`${at}.match`, text, 'destinations');
    return match === null ? [] : [{ name, text, match }];
  }

  route(at: string, row: Row): readonly (GuidelineRoute & { readonly isEnabled: boolean })[] {
    this.expectFields(row, at, ['name', 'match', 'destinations', 'enabled', 'connectionSharingAllowed']);
    const { enabled } = row;
    const name = this.text(row, at, 'name');
    const text = this.text(row, at, 'match');
    const match = this.#match(`${at}.match`, text, 'routes');
    for (const field of ['enabled', 'connectionSharingAllowed']) {
      if (row[field] !== undefined && typeof row[field] !== 'boolean')
        this.refuse(`${at}.${field}`, 'must be true or false');
    }
    const groups = this.items(row, at, 'destinations').flatMap(([place, item]) => this.#group(place, item));
    if (match === null) return [];
    // Of equal priority the one that stands first comes first.
    const ordered = [...groups].sort((one, other) => one.priority - other.priority);
    return [
      {
        name,
        text,
        match,
        groups: ordered.map(({ classes, strategy }) => ({ classes, strategy })),
        isEnabled: enabled !== false,
      },
    ];
  }

  expectFields(row: Row, at: string, known: readonly string[]): void {
    for (const field of Object.keys(row)) {
      if (!known.includes(field))
        this.refuse(joined(at, field), `is not a known field; known here: ${known.join(', ')}`);
    }
  }

  /** Empty where there is none that will do. */
  text(row: Row, at: string, field: string): string {
    const value = row[field];
    if (typeof value === 'string' && value !== '' && value.length <= MAX_FIELD) return value;
    const is = value === undefined ? 'is missing' : `must be text of 1 to ${MAX_FIELD} characters`;
    this.refuse(joined(at, field), is);
    return '';
  }

  items(row: Row, at: string, field: string): readonly (readonly [at: string, item: Row])[] {
    const value = row[field];
    if (!Array.isArray(value) || value.length === 0) {
      this.refuse(
        joined(at, field),
        value === undefined ? 'is missing' : 'must be a list with at least one item',
      );
      return [];
    }
    return value.flatMap((item: unknown, index) => {
      const place = `${joined(at, field)}[${index}]`;
      if (isRecord(item)) return [[place, item] as const];
      this.refuse(place, 'must be an object');
      return [];
    });
  }

  expectUnique(at: string, named: readonly { readonly name: string }[]): void {
    for (const [index, { name }] of named.entries()) {
      if (name !== '' && named.findIndex((other) => other.name === name) < index)
        this.refuse(`${at}[${index}].name`, `${JSON.stringify(name)} is there already`);
    }
  }

  expectClasses(at: string, groups: readonly DestinationGroup[], known: ReadonlySet<string>): void {
    for (const name of groups.flatMap(({ classes }) => classes)) {
      if (!known.has(name))
        this.refuse(`${at}.destinations`, `there is no destination class ${JSON.stringify(name)}`);
    }
  }

  #group(at: string, row: Row): readonly (DestinationGroup & { readonly priority: number })[] {
    this.expectFields(row, at, ['classes', 'strategy', 'priority']);
    const { classes, strategy, priority = 0 } = row;
    const names = Array.isArray(classes)
      ? classes.filter((name) => typeof name === 'string' && name !== '')
      : [];
    if (!Array.isArray(classes) || classes.length === 0 || names.length < classes.length)
      this.refuse(`${at}.classes`, 'must be a list of names of destination classes');
    if (strategy !== 'first-available' && strategy !== 'round-robin') {
      this.refuse(
        `${at}.strategy`,
        `must be round-robin or first-available, and is ${JSON.stringify(strategy)}`,
      );
      return [];
    }
    if (typeof priority !== 'number' || !Number.isSafeInteger(priority) || priority < 0) {
      this.refuse(`${at}.priority`, 'must be a whole number from 0 on');
      return [];
    }
    return [{ classes: names, strategy, priority }];
  }

  #match(at: string, text: string, part: 'destinations' | 'routes'): Expression | null {
    if (text === '') return null;
    try {
      const match = parseExpression(text);
      expectAllowed(match, part);
      if (typeOf(match) !== 'BOOLEAN')
        throw new ExpressionError(`must be true or false, and is a ${typeOf(match)}`, match.at);
      return match;
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      this.refuse(at, `${error.message}${placeText(error, text)}`);
      return null;
    }
  }
}

/** Servers are grouped without regard to any session, and sessions matched before there is a server. */
function expectAllowed(match: Expression, part: 'destinations' | 'routes'): void {
  for (const expression of visit(match)) {
    const name =
      expression.kind === 'variable'
        ? expression.name
        : expression.kind === 'entry'
          ? `${expression.scope}.${expression.key}`
          : '';
    const isForeign = name.startsWith(part === 'routes' ? 'server.' : 'session.');
    if (isForeign) throw new ExpressionError(`$.${name} cannot be used in ${part}`, expression.at);
    if (part === 'destinations' && PER_LISTENER.has(name))
      throw new ExpressionError(
        `$.${name} is not supported in destinations: servers are grouped once for all routes`,
        expression.at,
      );
  }
}

function placeText({ place }: ExpressionError, text: string): string {
  const start = place?.start ?? text.length;
  return ` (character ${start + 1} of ${JSON.stringify(text)})`;
}

function joined(at: string, field: string): string {
  return at === '' ? field : `${at}.${field}`;
}

function isRecord(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const VERSIONS: readonly string[] = ['1.0', '1.1'];
const PER_LISTENER: ReadonlySet<string> = new Set(['router.routeName', 'router.bindAddress']);
const MAX_TEXT = 1_000_000;
const MAX_FIELD = 8192;
