/**
 * The value of an expression. What is not known yet (a client's name before it has said it) is `UNKNOWN`, and so is what
 * depends on it; AND and OR may be known all the same.
 */

import { unreachable } from '../unreachable.ts';
import type { BinaryOperator, EntryScope, Expression, Value, VariableName } from './expression.ts';
import { ARITHMETIC, typeOf } from './expression.ts';
import { valueOfCall } from './functions.ts';

export const UNKNOWN = Symbol('not known yet');
export type Known = Value | typeof UNKNOWN;

/** Where variables have their values. */
export type Scope = {
  variable(name: VariableName): Known;
  /** Null where there is none of that name. */
  entry(scope: EntryScope, key: string): Known;
};

/** Whether a `match` matches. @throws EvaluationError where a value is none that a function can take */
export function matches(expression: Expression, scope: Scope): boolean | typeof UNKNOWN {
  const value = evaluate(expression, scope);
  return value === UNKNOWN ? UNKNOWN : isTrue(expression, value);
}

/** @throws EvaluationError */
export function evaluate(expression: Expression, scope: Scope): Known {
  switch (expression.kind) {
    case 'literal':
      return expression.value;
    case 'variable':
      return scope.variable(expression.name);
    case 'entry':
      return scope.entry(expression.scope, expression.key);
    case 'not': {
      const value = evaluate(expression.operand, scope);
      return value === UNKNOWN ? UNKNOWN : !isTrue(expression.operand, value);
    }
    case 'negative': {
      const value = evaluate(expression.operand, scope);
      return typeof value === 'number' ? -value : value;
    }
    case 'binary':
      return valueOfBinary(expression, scope);
    case 'in':
      return isAmong(expression, scope);
    case 'like': {
      const value = evaluate(expression.text, scope);
      return typeof value === 'string'
        ? isLike(value.toLowerCase(), expression.pattern.toLowerCase())
        : value;
    }
    case 'regexp': {
      const value = evaluate(expression.text, scope);
      // Some patterns take for ever on long texts, and the text may be the client's.
      return typeof value === 'string'
        ? value.length <= MAX_REGEXP_TEXT && expression.pattern.test(value)
        : value;
    }
    case 'call': {
      const values: Value[] = [];
      for (const parameter of expression.parameters) {
        const value = evaluate(parameter, scope);
        if (value === UNKNOWN) return UNKNOWN;
        values.push(value);
      }
      return values.includes(null) ? null : valueOfCall(expression.name, values);
    }
    default:
      return unreachable(expression);
  }
}

type Binary = Extract<Expression, { readonly kind: 'binary' }>;

function valueOfBinary(expression: Binary, scope: Scope): Known {
  const { operator, left, right } = expression;
  if (operator === 'AND' || operator === 'OR') return valueOfLogic(expression, scope);
  const one = evaluate(left, scope);
  const other = evaluate(right, scope);
  if (one === UNKNOWN || other === UNKNOWN) return UNKNOWN;
  if (ARITHMETIC.has(operator)) return calculated(operator, one, other);
  return isCompared(operator, one, other);
}

/** AND is false with one side that is, OR true with one that is, known the other or not. */
function valueOfLogic({ operator, left, right }: Binary, scope: Scope): Known {
  const deciding = operator === 'OR';
  let isUnknown = false;
  for (const side of [left, right]) {
    const value = evaluate(side, scope);
    if (value === UNKNOWN) isUnknown = true;
    else if (isTrue(side, value) === deciding) return deciding;
  }
  return isUnknown ? UNKNOWN : !deciding;
}

function isAmong({ needle, list }: Extract<Expression, { readonly kind: 'in' }>, scope: Scope): Known {
  const wanted = evaluate(needle, scope);
  if (wanted === UNKNOWN) return UNKNOWN;
  let isUnknown = false;
  for (const item of list) {
    const value = evaluate(item, scope);
    if (value === UNKNOWN) isUnknown = true;
    else if (isEqual(wanted, value)) return true;
  }
  return isUnknown ? UNKNOWN : false;
}

function calculated(operator: BinaryOperator, one: Value, other: Value): Value {
  if (typeof one !== 'number' || typeof other !== 'number') return null;
  switch (operator) {
    case '+':
      return one + other;
    case '-':
      return one - other;
    case '*':
      return one * other;
    case '/':
      return one / other;
    default:
      return one % other;
  }
}

/** Nothing is less or greater than NULL, and NULL is equal to nothing but NULL. */
function isCompared(operator: BinaryOperator, one: Value, other: Value): boolean {
  switch (operator) {
    case '=':
      return isEqual(one, other);
    case '<>':
      return !isEqual(one, other);
    case '<':
      return order(one, other) === 'less';
    case '>':
      return order(other, one) === 'less';
    case '<=':
      return ['less', 'equal'].includes(order(one, other));
    default:
      return ['less', 'equal'].includes(order(other, one));
  }
}

function isEqual(one: Value, other: Value): boolean {
  if (typeof one === 'string' && typeof other === 'string') return one.toLowerCase() === other.toLowerCase();
  return one === other;
}

function order(one: Value, other: Value): 'less' | 'equal' | 'neither' {
  if (typeof one === 'number' && typeof other === 'number')
    return one < other ? 'less' : one === other ? 'equal' : 'neither';
  if (typeof one !== 'string' || typeof other !== 'string') return 'neither';
  const [left, right] = [one.toLowerCase(), other.toLowerCase()];
  return left < right ? 'less' : left === right ? 'equal' : 'neither';
}

function isTrue(expression: Expression, value: Value): boolean {
  if (typeOf(expression) === 'ROLE') return value !== 'UNDEFINED';
  return value !== null && value !== false && value !== 0 && value !== '';
}

/** `%` is any number of characters, `_` is one; a backslash takes the next one as it is. */
function isLike(text: string, pattern: string): boolean {
  let [at, next] = [0, 0];
  // Where to go on when what follows the last `%` does not fit.
  let [again, againNext] = [-1, -1];
  while (at < text.length) {
    const wanted = pattern.charAt(next);
    const isEscape = wanted === '\\' && next + 1 < pattern.length;
    const literal = isEscape ? pattern.charAt(next + 1) : wanted;
    if (wanted === '%') {
      [again, againNext] = [at, ++next];
    } else if (next < pattern.length && ((wanted === '_' && !isEscape) || literal === text.charAt(at))) {
      at++;
      next += isEscape ? 2 : 1;
    } else if (again >= 0) {
      at = ++again;
      next = againNext;
    } else return false;
  }
  while (pattern.charAt(next) === '%') next++;
  return next >= pattern.length;
}

const MAX_REGEXP_TEXT = 256;
