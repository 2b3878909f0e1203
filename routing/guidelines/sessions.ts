/** Which route of a guideline a session belongs to. */

import { type Known, matches, type Scope, UNKNOWN } from './evaluate.ts';
import type { EntryScope, VariableName } from './expression.ts';
import { usesLogin } from './expression-parts.ts';
import { EvaluationError } from './functions.ts';
import type { Guideline, GuidelineRoute } from './guideline.ts';

/** What `$.router` is, whoever connects. */
export type RouterFacts = {
  readonly name: string;
  readonly hostname: string;
  /** Empty where none is configured. */
  readonly localCluster: string;
  readonly tags: Readonly<Record<string, unknown>>;
  /** Of the first route of each role; 0 where there is none. */
  readonly ports: { readonly rw: number; readonly ro: number; readonly rwSplit: number };
};

/** The router's route that a client has come in by. */
export type ListenerFacts = { readonly routeName: string; readonly bindAddress: string };

/** What is known of a session when it is accepted. */
export type SessionOrigin = ListenerFacts & {
  readonly targetIP: string;
  readonly targetPort: number;
  readonly sourceIP: string;
  /** From 0 to below 1; drawn once. */
  readonly randomValue: number;
};

/** What a client says of itself. */
export type LoginFacts = {
  readonly user: string;
  readonly schema: string;
  readonly connectAttrs: ReadonlyMap<string, string>;
};

export type RouteMatch =
  | { readonly kind: 'route'; readonly route: GuidelineRoute }
  | { readonly kind: 'none' }
  /** Only the login tells. */
  | { readonly kind: 'login-needed' };

/** @param login null before the client has said who it is @param onProblem what could not be evaluated, and so did not match */
export function matchSession(
  guideline: Guideline,
  router: RouterFacts,
  origin: SessionOrigin,
  login: LoginFacts | null,
  onProblem: (problem: string) => void,
): RouteMatch {
  const scope = scopeOf(router, {
    variable: (name) => sessionVariable(name, origin, login),
    entry: (key) => (login === null ? UNKNOWN : (login.connectAttrs.get(key) ?? null)),
  });
  for (const route of guideline.routes) {
    try {
      const isMatch = matches(route.match, scope);
      if (isMatch === UNKNOWN) return { kind: 'login-needed' };
      if (isMatch) return { kind: 'route', route };
    } catch (error) {
      if (!(error instanceof EvaluationError)) throw error;
      onProblem(`route ${route.name} of guideline ${guideline.name}: ${error.message}`);
    }
  }
  return { kind: 'none' };
}

/**
 * The first route that may need the login to be told from others for clients of `listener`, or null when none does. The
 * client's address is not known yet, so a route that goes by both counts.
 */
export function routeNeedingLogin(
  guideline: Guideline,
  router: RouterFacts,
  listener: ListenerFacts & { readonly targetPort: number },
): GuidelineRoute | null {
  const known: Partial<Record<VariableName, Known>> = {
    'router.routeName': listener.routeName,
    'router.bindAddress': listener.bindAddress,
    'session.targetPort': listener.targetPort,
  };
  const scope = scopeOf(router, { variable: (name) => known[name] ?? UNKNOWN, entry: () => UNKNOWN });
  for (const route of guideline.routes) {
    const isMatch = isMatchOrUnknown(route, scope);
    if (isMatch === UNKNOWN && usesLogin(route.match)) return route;
    if (isMatch === true) return null;
  }
  return null;
}

function isMatchOrUnknown(route: GuidelineRoute, scope: Scope): boolean | typeof UNKNOWN {
  try {
    return matches(route.match, scope);
  } catch (error) {
    if (!(error instanceof EvaluationError)) throw error;
    return false;
  }
}

/** Variables of the router itself, and whatever else `own` knows. */
export function scopeOf(
  router: RouterFacts,
  own: { variable(name: VariableName): Known; entry(key: string): Known },
): Scope {
  return {
    variable(name) {
      switch (name) {
        case 'router.localCluster':
          return router.localCluster;
        case 'router.hostname':
          return router.hostname;
        case 'router.name':
          return router.name;
        case 'router.port.rw':
          return router.ports.rw;
        case 'router.port.ro':
          return router.ports.ro;
        case 'router.port.rw_split':
          return router.ports.rwSplit;
        default:
          return own.variable(name);
      }
    },
    entry: (scope: EntryScope, key) => (scope === 'router.tags' ? tagText(router.tags[key]) : own.entry(key)),
  };
}

/** A tag is any JSON; expressions see its text. */
export function tagText(tag: unknown): string | null {
  if (tag === undefined || tag === null) return null;
  return typeof tag === 'string' ? tag : JSON.stringify(tag);
}

function sessionVariable(name: VariableName, origin: SessionOrigin, login: LoginFacts | null): Known {
  switch (name) {
    case 'session.targetIP':
      return origin.targetIP;
    case 'session.targetPort':
      return origin.targetPort;
    case 'session.sourceIP':
      return origin.sourceIP;
    case 'session.randomValue':
      return origin.randomValue;
    case 'session.user':
      return login === null ? UNKNOWN : login.user;
    case 'session.schema':
      return login === null ? UNKNOWN : login.schema;
    case 'router.routeName':
      return origin.routeName;
    case 'router.bindAddress':
      return origin.bindAddress;
    default:
      return null;
  }
}
