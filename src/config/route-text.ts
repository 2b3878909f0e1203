/**
 * Routes and seeds as one line of text, for flags and the environment:
 * `name=rw,listen=0.0.0.0:6446,role=primary,strategy=first-available`, several separated by `;`, or JSON.
 */
import { factsAt } from './key-list.ts';
import { isTree } from './tree.ts';

export type RouteText =
  /** As the file would give them: schema.ts judges them further. */
  | { readonly kind: 'routes'; readonly routes: readonly unknown[] }
  | { readonly kind: 'malformed'; readonly rule: string };

export function parseRouteText(text: string): RouteText {
  if (text.trimStart().startsWith('[') || text.trimStart().startsWith('{')) return parseRouteJson(text);
  const routes: Record<string, unknown>[] = [];
  for (const part of splitList(text, ';')) {
    const route = parseOneRoute(part);
    if (typeof route === 'string') return { kind: 'malformed', rule: route };
    routes.push(route);
  }
  return { kind: 'routes', routes };
}

/** "a, b" or a JSON list; whitespace and empty items are left out. */
export function parseSeedText(text: string): readonly unknown[] {
  if (/^\s*\[\s*(?:"|\])/.test(text)) {
    const parsed = parseJson(text);
    if (Array.isArray(parsed)) return parsed;
  }
  return splitList(text, ',');
}

/** The route, or the rule that was broken. */
function parseOneRoute(text: string): Record<string, unknown> | string {
  const route: Record<string, unknown> = {};
  for (const part of splitList(text, ',')) {
    const equals = part.indexOf('=');
    if (equals <= 0) return `must be key=value pairs with commas between, such as "${EXAMPLE}"`;
    const key = part.slice(0, equals).trim();
    const value = part.slice(equals + 1).trim();
    if (Object.hasOwn(route, key)) return `gives ${JSON.stringify(key)} twice in one route`;
    // A key such as __proto__ has to end up as an unknown key, not as the prototype.
    Object.defineProperty(route, key, {
      value: judged(key, value),
      enumerable: true,
    });
  }
  return route;
}

/** Numbers and yes or no stand unquoted in the file. */
function judged(key: string, text: string): unknown {
  const kind = factsAt(`routes[].${key}`)?.kind;
  if (kind === 'integer' && /^\d+$/.test(text)) return Number(text);
  if (kind === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

function parseRouteJson(text: string): RouteText {
  const parsed = parseJson(text);
  if (Array.isArray(parsed)) return { kind: 'routes', routes: parsed };
  if (isTree(parsed)) return { kind: 'routes', routes: [parsed] };
  return { kind: 'malformed', rule: `is not valid JSON; "${EXAMPLE}" is the short form` };
}

/** Undefined for what is no JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function splitList(text: string, separator: string): readonly string[] {
  return text
    .split(separator)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

const EXAMPLE = 'name=rw,listen=0.0.0.0:6446,role=primary';
