/**
 * The language of a guideline's `match`: what an expression is once it was read, and what goes wrong reading one.
 */

/** `ROLE` is a word of its own kind: PRIMARY, SECONDARY, READ_REPLICA, REPLICA or UNDEFINED. */
export type ValueType = 'NUMBER' | 'STRING' | 'BOOLEAN' | 'ROLE' | 'NULL';

/** A role is its word in capitals. */
export type Value = string | number | boolean | null;

export type BinaryOperator =
  | 'AND'
  | 'OR'
  | '='
  | '<>'
  | '<'
  | '<='
  | '>'
  | '>='
  | '+'
  | '-'
  | '*'
  | '/'
  | '%';

export type Expression =
  | { readonly kind: 'literal'; readonly type: ValueType; readonly value: Value; readonly at: Place }
  /** A name without its `$.`, such as `server.memberRole`. */
  | { readonly kind: 'variable'; readonly type: ValueType; readonly name: VariableName; readonly at: Place }
  /** One of many that administrators and clients name: a tag, a connection attribute. */
  | { readonly kind: 'entry'; readonly scope: EntryScope; readonly key: string; readonly at: Place }
  | { readonly kind: 'not' | 'negative'; readonly operand: Expression; readonly at: Place }
  | {
      readonly kind: 'binary';
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
      readonly at: Place;
    }
  | {
      readonly kind: 'in';
      readonly needle: Expression;
      readonly list: readonly Expression[];
      readonly at: Place;
    }
  | { readonly kind: 'like'; readonly text: Expression; readonly pattern: string; readonly at: Place }
  | {
      readonly kind: 'regexp';
      readonly text: Expression;
      readonly pattern: RegExp;
      readonly at: Place;
    }
  | {
      readonly kind: 'call';
      readonly name: FunctionName;
      readonly parameters: readonly Expression[];
      readonly at: Place;
    };

/** Where it stands in its text: the first character and the one behind the last, counted from 0. */
export type Place = { readonly start: number; readonly end: number };

export const VARIABLES = {
  'server.label': 'STRING',
  'server.address': 'STRING',
  'server.port': 'NUMBER',
  'server.uuid': 'STRING',
  'server.version': 'NUMBER',
  'server.clusterName': 'STRING',
  'server.clusterSetName': 'STRING',
  'server.isClusterInvalidated': 'BOOLEAN',
  'server.memberRole': 'ROLE',
  'server.clusterRole': 'ROLE',
  'session.targetIP': 'STRING',
  'session.targetPort': 'NUMBER',
  'session.sourceIP': 'STRING',
  'session.randomValue': 'NUMBER',
  'session.user': 'STRING',
  'session.schema': 'STRING',
  'router.localCluster': 'STRING',
  'router.hostname': 'STRING',
  'router.bindAddress': 'STRING',
  'router.port.ro': 'NUMBER',
  'router.port.rw': 'NUMBER',
  'router.port.rw_split': 'NUMBER',
  'router.routeName': 'STRING',
  'router.name': 'STRING',
} as const satisfies Readonly<Record<string, ValueType>>;

export type VariableName = keyof typeof VARIABLES;

/** Known only once the client has said who it is. */
export const LOGIN_VARIABLES: ReadonlySet<VariableName> = new Set(['session.user', 'session.schema']);

export const ENTRY_SCOPES = ['server.tags', 'router.tags', 'session.connectAttrs'] as const;
export type EntryScope = (typeof ENTRY_SCOPES)[number];

/** What a function takes and what it gives; CONCAT takes one or more of anything. */
export const FUNCTIONS = {
  SQRT: { takes: ['NUMBER'], gives: 'NUMBER' },
  NUMBER: { takes: ['STRING'], gives: 'NUMBER' },
  IS_IPV4: { takes: ['STRING'], gives: 'BOOLEAN' },
  IS_IPV6: { takes: ['STRING'], gives: 'BOOLEAN' },
  SUBSTRING_INDEX: { takes: ['STRING', 'STRING', 'NUMBER'], gives: 'STRING' },
  STARTSWITH: { takes: ['STRING', 'STRING'], gives: 'BOOLEAN' },
  ENDSWITH: { takes: ['STRING', 'STRING'], gives: 'BOOLEAN' },
  CONTAINS: { takes: ['STRING', 'STRING'], gives: 'BOOLEAN' },
  NETWORK: { takes: ['STRING', 'NUMBER'], gives: 'STRING' },
  CONCAT: { takes: [], gives: 'STRING' },
} as const satisfies Readonly<
  Record<string, { readonly takes: readonly ValueType[]; readonly gives: ValueType }>
>;

export type FunctionName = keyof typeof FUNCTIONS;

export function typeOf(expression: Expression): ValueType {
  switch (expression.kind) {
    case 'literal':
    case 'variable':
      return expression.type;
    case 'entry':
      return 'STRING';
    case 'negative':
      return 'NUMBER';
    case 'call':
      return FUNCTIONS[expression.name].gives;
    case 'binary':
      return ARITHMETIC.has(expression.operator) ? 'NUMBER' : 'BOOLEAN';
    default:
      return 'BOOLEAN';
  }
}

/** What is wrong with an expression, and where; `place` is null where its end came too early. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
  readonly place: Place | null;

  constructor(message: string, place: Place | null) {
    super(message);
    this.place = place;
  }
}

export const ARITHMETIC: ReadonlySet<BinaryOperator> = new Set(['+', '-', '*', '/', '%']);
