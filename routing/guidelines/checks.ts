/**
 * What fits together in an expression, and what of MySQL Router's language is not supported here: said when a guideline
 * is loaded, with the place.
 */
import {
  ARITHMETIC,
  type BinaryOperator,
  ENTRY_SCOPES,
  type Expression,
  ExpressionError,
  FUNCTIONS,
  type FunctionName,
  type Place,
  typeOf,
  VARIABLES,
  type ValueType,
  type VariableName,
} from './expression.ts';

export function createVariable(name: string, at: Place): Expression {
  if (isVariable(name)) return { kind: 'variable', type: VARIABLES[name], name, at };
  for (const scope of ENTRY_SCOPES) {
    if (name.startsWith(`${scope}.`)) return { kind: 'entry', scope, key: name.slice(scope.length + 1), at };
  }
  if (name.startsWith('sql.'))
    throw new ExpressionError(`$.${name} is not supported: sessions are routed, not statements`, at);
  throw new ExpressionError(`$.${name} is not a known variable`, at);
}

export function createCall(word: string, parameters: readonly Expression[], at: Place): Expression {
  const name = word.toUpperCase();
  if (name === 'RESOLVE_V4' || name === 'RESOLVE_V6')
    throw new ExpressionError(
      `${name} is not supported: compare with addresses, or with a network by NETWORK`,
      at,
    );
  if (name === 'REGEXP_LIKE') return createRegexp(parameters, at);
  if (!isFunction(name)) throw new ExpressionError(`${word} is not a known function`, at);
  const { takes } = FUNCTIONS[name];
  if (name === 'CONCAT' ? parameters.length === 0 : parameters.length !== takes.length) {
    const wanted = name === 'CONCAT' ? 'at least 1 parameter' : parametersText(takes.length);
    throw new ExpressionError(`${name} takes ${wanted}, and here are ${parameters.length}`, at);
  }
  for (const [index, type] of takes.entries()) expectType(name, parameters[index], index, type);
  if (name === 'NETWORK') checkNetwork(parameters, at);
  return { kind: 'call', name, parameters, at };
}

/** A pattern of whoever connects could keep a thread busy for ever, so it stands in the guideline. */
function createRegexp(parameters: readonly Expression[], at: Place): Expression {
  const [text, pattern] = parameters;
  if (text === undefined || pattern === undefined || parameters.length !== 2)
    throw new ExpressionError(`REGEXP_LIKE takes 2 parameters, and here are ${parameters.length}`, at);
  expectType('REGEXP_LIKE', text, 0, 'STRING');
  if (pattern.kind !== 'literal' || typeof pattern.value !== 'string')
    throw new ExpressionError('REGEXP_LIKE needs a text in quotes as its second parameter', pattern.at);
  try {
    return { kind: 'regexp', text, pattern: new RegExp(`^(?:${pattern.value})$`, 'i'), at };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ExpressionError(`no regular expression: ${error.message}`, pattern.at);
  }
}

/** @throws ExpressionError when the operator does not take these */
export function checkBinary(operator: BinaryOperator, left: Expression, right: Expression, at: Place): void {
  // Whatever it is, it can be asked whether it is something.
  if (operator === 'AND' || operator === 'OR') return;
  const types = [typeOf(left), typeOf(right)] as const;
  if (ARITHMETIC.has(operator)) {
    for (const side of [left, right]) {
      if (typeOf(side) !== 'NUMBER')
        throw new ExpressionError(`${operator} needs a NUMBER, and this is a ${typeOf(side)}`, side.at);
    }
    return;
  }
  const isOrder = operator !== '=' && operator !== '<>';
  if (isOrder && types[0] !== 'NUMBER' && types[0] !== 'STRING')
    throw new ExpressionError(`${operator} does not compare ${types[0]}s`, left.at);
  if (!isComparable(types[0], types[1]))
    throw new ExpressionError(`${operator} compares a ${types[0]} with a ${types[1]}`, at);
  checkRoles(left, right, at);
}

export function checkList(needle: Expression, list: readonly Expression[]): void {
  for (const item of list) {
    if (!isComparable(typeOf(needle), typeOf(item)))
      throw new ExpressionError(`IN compares a ${typeOf(needle)} with a ${typeOf(item)}`, item.at);
    checkRoles(needle, item, item.at);
  }
}

/** The value of a tag is text, whatever it was in JSON: what it is compared with becomes text too. */
export function checkEntryLiteral(side: Expression, other: Expression): Expression {
  if (other.kind !== 'entry' || side.kind !== 'literal' || side.type === 'STRING' || side.value === null)
    return side;
  return { ...side, type: 'STRING', value: String(side.value) };
}

/** `memberRole` is never REPLICA, and `clusterRole` never SECONDARY: whoever asks has mistaken one for the other. */
function checkRoles(left: Expression, right: Expression, at: Place): void {
  for (const [one, other] of [
    [left, right],
    [right, left],
  ] as const) {
    if (one.kind !== 'variable' || other.kind !== 'literal' || other.type !== 'ROLE') continue;
    const roles = ROLES_OF.get(one.name);
    if (roles !== undefined && !roles.includes(String(other.value)))
      throw new ExpressionError(`$.${one.name} is one of ${roles.join(', ')}, never ${other.value}`, at);
  }
}

function checkNetwork(parameters: readonly Expression[], at: Place): void {
  const bits = parameters[1];
  const isBits =
    bits?.kind === 'literal' &&
    typeof bits.value === 'number' &&
    Number.isInteger(bits.value) &&
    bits.value >= 1 &&
    bits.value <= 32;
  if (!isBits)
    throw new ExpressionError('NETWORK needs a whole number from 1 to 32 as its second parameter', at);
}

function expectType(name: string, parameter: Expression | undefined, index: number, wanted: ValueType): void {
  if (parameter === undefined || typeOf(parameter) === wanted) return;
  throw new ExpressionError(
    `${name} takes a ${wanted} as parameter ${index + 1}, and this is a ${typeOf(parameter)}`,
    parameter.at,
  );
}

function parametersText(count: number): string {
  return `${count} parameter${count === 1 ? '' : 's'}`;
}

function isComparable(one: ValueType, other: ValueType): boolean {
  return one === other || one === 'NULL' || other === 'NULL';
}

function isVariable(name: string): name is VariableName {
  return Object.hasOwn(VARIABLES, name);
}

function isFunction(name: string): name is FunctionName {
  return Object.hasOwn(FUNCTIONS, name);
}

const ROLES_OF: ReadonlyMap<VariableName, readonly string[]> = new Map([
  ['server.memberRole', ['PRIMARY', 'SECONDARY', 'READ_REPLICA', 'UNDEFINED']],
  ['server.clusterRole', ['PRIMARY', 'REPLICA', 'UNDEFINED']],
]);
