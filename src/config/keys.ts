/**
 * The building blocks of schema.ts: each makes the zod schema of one key and records, in the same call, what an
 * operator has to know of it. The command line, the environment, the messages and docs/configuration.md all read that.
 */
import { z } from 'zod';
import {
  DURATION_PATTERN,
  parseDuration,
  parseHostName,
  parseListen,
  parseNameServer,
  parsePairs,
  parseSize,
  SIZE_PATTERN,
} from './values.ts';

export type KeyKind =
  | 'duration'
  | 'size'
  | 'integer'
  | 'boolean'
  | 'choice'
  | 'text'
  | 'secret'
  | 'secret-file'
  | 'file'
  | 'listen'
  | 'networks'
  | 'name-servers'
  | 'name-server'
  | 'seeds'
  | 'seed'
  | 'threads'
  | 'routes';

export type KeyFacts = {
  readonly kind: KeyKind;
  /** One sentence: what the key is. */
  readonly doc: string;
  /** Why one would change it, and where the default comes from. */
  readonly why: string;
  /** Completes "must be …"; holds range and form. */
  readonly rule: string;
  /** As an operator writes it; null for a key that has none. */
  readonly defaultText: string | null;
  readonly choices?: readonly string[];
};

/** What every schema below recorded. Filled while the modules load and only read afterwards. */
export const keyFacts = z.registry<KeyFacts>();

type Words = { readonly doc: string; readonly why: string };
type Range = { readonly min: string; readonly max: string; readonly default: string };

/** A time, in milliseconds once parsed. `min`, `max` and `default` are written as an operator would. */
export function duration(facts: Words & Range) {
  const [minMs, maxMs] = [parseDuration(facts.min) ?? 0, parseDuration(facts.max) ?? 0];
  return z
    .union([z.literal(0), z.literal('0'), z.string().regex(DURATION_PATTERN)])
    .transform((written, context) => within(parseDuration(written), minMs, maxMs, context))
    .prefault(facts.default)
    .register(keyFacts, {
      kind: 'duration',
      ...words(facts),
      rule: `a duration from ${facts.min} to ${facts.max}, a number with its unit (ms, s, m, h, d), such as "${facts.default === '0' ? '30s' : facts.default}"`,
      defaultText: facts.default,
    });
}

/** A number of bytes. */
export function size(facts: Words & Range) {
  const [minBytes, maxBytes] = [parseSize(facts.min) ?? 0, parseSize(facts.max) ?? 0];
  return z
    .union([z.int().nonnegative(), z.string().regex(SIZE_PATTERN)])
    .transform((written, context) => within(parseSize(written), minBytes, maxBytes, context))
    .prefault(facts.default)
    .register(keyFacts, {
      kind: 'size',
      ...words(facts),
      rule: `a size from ${facts.min} to ${facts.max}, in bytes or with a unit (KiB, MiB, GiB), such as "${facts.default}"`,
      defaultText: facts.default,
    });
}

/** A count. */
export function integer(
  facts: Words & { readonly min: number; readonly max: number; readonly default: number },
) {
  return z
    .int()
    .min(facts.min)
    .max(facts.max)
    .prefault(facts.default)
    .register(keyFacts, {
      kind: 'integer',
      ...words(facts),
      rule: `a whole number from ${facts.min} to ${facts.max}`,
      defaultText: String(facts.default),
    });
}

export function boolean(facts: Words & { readonly default: boolean }) {
  return z
    .boolean()
    .prefault(facts.default)
    .register(keyFacts, {
      kind: 'boolean',
      ...words(facts),
      rule: 'true or false',
      defaultText: String(facts.default),
    });
}

/** `true` or `false`, to be given or left out. */
export function optionalBoolean(facts: Words) {
  return z
    .boolean()
    .optional()
    .register(keyFacts, { kind: 'boolean', ...words(facts), rule: 'true or false', defaultText: null });
}

/** One of a few words. */
export function choice<const T extends readonly [string, ...string[]]>(
  choices: T,
  facts: Words & { readonly default: T[number] },
) {
  return z
    .enum(choices)
    .prefault(facts.default)
    .register(keyFacts, choiceFacts(choices, facts, facts.default));
}

/** One of a few words, to be given or left out. */
export function optionalChoice<const T extends readonly [string, ...string[]]>(choices: T, facts: Words) {
  return z
    .enum(choices)
    .optional()
    .register(keyFacts, choiceFacts(choices, facts, null));
}

/** One of a few words, to be given. */
export function requiredChoice<const T extends readonly [string, ...string[]]>(choices: T, facts: Words) {
  return z.enum(choices).register(keyFacts, choiceFacts(choices, facts, null));
}

/** Text without control characters. `maxLength` in characters. */
export function text(facts: Words & { readonly maxLength: number }) {
  return printable(facts.maxLength)
    .optional()
    .register(keyFacts, {
      kind: 'text',
      ...words(facts),
      rule: `text of 1 to ${facts.maxLength} characters, in quotes where it looks like a number`,
      defaultText: null,
    });
}

/** `key=value` pairs on one line, as a map. */
export function pairs(
  facts: Words & { readonly valueRule: string; readonly valuePattern: RegExp; readonly example: string },
) {
  return z
    .string()
    .max(10_000)
    .optional()
    .transform((written, context): ReadonlyMap<string, string> => {
      const parsed = parsePairs(written ?? '', facts.valuePattern);
      if (parsed !== null) return parsed;
      context.issues.push({ code: 'custom', input: written });
      return z.NEVER;
    })
    .register(keyFacts, {
      kind: 'text',
      ...words(facts),
      rule: `members with ${facts.valueRule} each, such as "${facts.example}"`,
      defaultText: null,
    });
}

/** Text that is never shown. */
export function secret(facts: Words) {
  return z
    .string()
    .optional()
    .register(keyFacts, {
      kind: 'secret',
      ...words(facts),
      rule: 'text, in quotes where it looks like a number',
      defaultText: null,
    });
}

/** The path of a file that holds a secret. */
export function secretFile(facts: Words) {
  return z
    .string()
    .min(1)
    .optional()
    .register(keyFacts, {
      kind: 'secret-file',
      ...words(facts),
      rule: 'the path of a readable file',
      defaultText: null,
    });
}

/** The path of a file or folder that is read while the program runs. A relative one in the configuration file starts at its folder. */
export function file(facts: Words) {
  return z
    .string()
    .min(1)
    .optional()
    .register(keyFacts, {
      kind: 'file',
      ...words(facts),
      rule: 'a path; in the file, a relative one starts at the folder of the file',
      defaultText: null,
    });
}

const LISTEN_RULE =
  'an address and a port, such as "0.0.0.0:6446", "[::]:6446" or ":6446" (port 0 for any free one)';

/** An address to bind, with a default. */
export function listen(facts: Words & { readonly default: string }) {
  return listenSchema()
    .prefault(facts.default)
    .register(keyFacts, {
      kind: 'listen',
      ...words(facts),
      rule: LISTEN_RULE,
      defaultText: facts.default,
    });
}

/** An address to bind that has to be given. */
export function requiredListen(facts: Words) {
  return listenSchema().register(keyFacts, {
    kind: 'listen',
    ...words(facts),
    rule: LISTEN_RULE,
    defaultText: null,
  });
}

/** Text with a default. */
export function textWithDefault(facts: Words & { readonly maxLength: number; readonly default: string }) {
  return printable(facts.maxLength)
    .prefault(facts.default)
    .register(keyFacts, {
      kind: 'text',
      ...words(facts),
      rule: `text of 1 to ${facts.maxLength} characters`,
      defaultText: facts.default,
    });
}

/** A name in DNS that has to be given. */
export function hostName(facts: Words & { readonly maxLength: number }) {
  return z
    .string()
    .max(facts.maxLength)
    .refine((written) => parseHostName(written) !== null)
    .register(keyFacts, {
      kind: 'text',
      ...words(facts),
      rule: 'a name as DNS knows it, such as "mycluster-instances.db.svc.cluster.local"',
      defaultText: null,
    });
}

/** The name of a Kubernetes object. */
export function objectName(facts: Words) {
  return z.string().regex(OBJECT_NAME).register(keyFacts, objectNameFacts(facts));
}

export function optionalObjectName(facts: Words) {
  return z.string().regex(OBJECT_NAME).optional().register(keyFacts, objectNameFacts(facts));
}

/** The name or the number of a port; may be left out. */
export function servicePort(facts: Words) {
  return z
    .union([z.int().min(1).max(65_535), z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,13}[a-z0-9])?$/)])
    .optional()
    .register(keyFacts, {
      kind: 'text',
      ...words(facts),
      rule: 'the name of a port or its number from 1 to 65535',
      defaultText: null,
    });
}

/** Addresses of name servers. */
export function nameServers(facts: Words) {
  const rule = 'an IP address with or without a port, such as "10.96.0.10", "127.0.0.1:5353" or "[::1]:53"';
  const server = z
    .string()
    .transform((written, context) => {
      const parsed = parseNameServer(written);
      if (parsed !== null) return parsed;
      context.issues.push({ code: 'custom', input: written });
      return z.NEVER;
    })
    .register(keyFacts, { kind: 'name-server', ...words(facts), rule, defaultText: null });
  return z
    .array(server)
    .max(8)
    .prefault([])
    .register(keyFacts, {
      kind: 'name-servers',
      ...words(facts),
      rule: `a list of up to 8 items, each ${rule}`,
      defaultText: null,
    });
}

/** A number of data threads, or `auto`. */
export function threads(facts: Words & { readonly max: number }) {
  return z
    .union([z.literal('auto'), z.int().min(1).max(facts.max)])
    .prefault('auto')
    .register(keyFacts, {
      kind: 'threads',
      ...words(facts),
      rule: `"auto" or a whole number from 1 to ${facts.max}`,
      defaultText: 'auto',
    });
}

/** The name of a route: it becomes a metric label and part of log lines, so it is kept plain. */
export function routeName(facts: Words) {
  return z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9_-]{0,30}[a-z0-9])?$/)
    .register(keyFacts, {
      kind: 'text',
      ...words(facts),
      rule: '1 to 32 lower-case letters, digits, "-" or "_", such as "rw"',
      defaultText: null,
    });
}

const OBJECT_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

function objectNameFacts(facts: Words): KeyFacts {
  const rule = '1 to 63 lower-case letters, digits or "-", as Kubernetes names objects';
  return { kind: 'text', ...words(facts), rule, defaultText: null };
}

function listenSchema() {
  return z.string().transform((written, context) => {
    const parsed = parseListen(written);
    if (parsed !== null) return parsed;
    context.issues.push({ code: 'custom', input: written });
    return z.NEVER;
  });
}

function printable(maxLength: number) {
  return z
    .string()
    .min(1)
    .max(maxLength)
    .regex(/^\P{Cc}*$/u);
}

function choiceFacts(choices: readonly string[], facts: Words, defaultText: string | null): KeyFacts {
  return { kind: 'choice', ...words(facts), rule: `one of ${choices.join(', ')}`, defaultText, choices };
}

function words(facts: Words): Words {
  return { doc: facts.doc, why: facts.why };
}

/** The parsed value when it is one and in range; else an issue, which the caller of the schema puts into words. */
function within(parsed: number | null, min: number, max: number, context: z.RefinementCtx): number {
  if (parsed !== null && parsed >= min && parsed <= max) return parsed;
  context.addIssue({ code: 'custom' });
  return z.NEVER;
}
