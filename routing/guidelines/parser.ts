/**
 * Reads a guideline's `match`. Loosest first: OR, AND, NOT, then one comparison, IN or LIKE, then + and -, then *, / and %.
 *
 * Types are checked while it is read, so that what is read can be evaluated: a text is compared with a text, a role with
 * a role.
 */
import { checkBinary, checkEntryLiteral, checkList, createCall, createVariable } from './checks.ts';
import { type BinaryOperator, type Expression, ExpressionError, type Place, typeOf } from './expression.ts';
import { type Keyword, type Token, tokensOf } from './lexer.ts';

/** @throws ExpressionError */
export function parseExpression(text: string): Expression {
  const parser = new Parser(tokensOf(text));
  const expression = parser.either(0);
  parser.expectEnd();
  return expression;
}

class Parser {
  readonly #tokens: readonly Token[];
  #next = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  either(depth: number): Expression {
    let left = this.#both(depth);
    while (this.#takeKeyword('OR')) left = binary('OR', left, this.#both(depth));
    return left;
  }

  expectEnd(): void {
    const token = this.#tokens[this.#next];
    if (token !== undefined) throw new ExpressionError(`unexpected ${shown(token)}`, token);
  }

  #both(depth: number): Expression {
    let left = this.#negation(depth);
    while (this.#takeKeyword('AND')) left = binary('AND', left, this.#negation(depth));
    return left;
  }

  #negation(depth: number): Expression {
    const token = this.#tokens[this.#next];
    if (!this.#takeKeyword('NOT')) return this.#comparison(depth);
    const operand = this.#negation(deeper(depth, token));
    return { kind: 'not', operand, at: { start: token?.start ?? 0, end: operand.at.end } };
  }

  #comparison(depth: number): Expression {
    const left = this.#sum(depth);
    const token = this.#tokens[this.#next];
    const comparison = this.#takeSymbol(COMPARISONS);
    if (comparison !== undefined) {
      const right = this.#sum(depth);
      return binary(comparison, checkEntryLiteral(left, right), checkEntryLiteral(right, left));
    }
    const isNegated = this.#takeKeyword('NOT');
    const found = this.#takeKeyword('IN')
      ? this.#list(left, depth)
      : this.#takeKeyword('LIKE')
        ? this.#pattern(left, depth)
        : null;
    if (found === null) {
      if (isNegated && token !== undefined)
        throw new ExpressionError('NOT stands before IN or LIKE here', token);
      return left;
    }
    return isNegated ? { kind: 'not', operand: found, at: found.at } : found;
  }

  #list(needle: Expression, depth: number): Expression {
    this.#expect('(');
    const list = this.#expressions(depth).map((item) => checkEntryLiteral(item, needle));
    const end = this.#expect(')').end;
    checkList(needle, list);
    return { kind: 'in', needle, list, at: { start: needle.at.start, end } };
  }

  #pattern(text: Expression, depth: number): Expression {
    const pattern = this.#sum(depth);
    const at = { start: text.at.start, end: pattern.at.end };
    if (pattern.kind !== 'literal' || typeof pattern.value !== 'string')
      throw new ExpressionError('LIKE needs a text in quotes on its right', pattern.at);
    if (typeOf(text) !== 'STRING')
      throw new ExpressionError(`LIKE needs a STRING on its left, and this is a ${typeOf(text)}`, text.at);
    return { kind: 'like', text, pattern: pattern.value, at };
  }

  #sum(depth: number): Expression {
    let left = this.#product(depth);
    for (;;) {
      const operator = this.#takeSymbol(SUMS);
      if (operator === undefined) return left;
      left = binary(operator, left, this.#product(depth));
    }
  }

  #product(depth: number): Expression {
    let left = this.#sign(depth);
    for (;;) {
      const operator = this.#takeSymbol(PRODUCTS);
      if (operator === undefined) return left;
      left = binary(operator, left, this.#sign(depth));
    }
  }

  #sign(depth: number): Expression {
    const token = this.#tokens[this.#next];
    if (token === undefined || this.#takeSymbol(['-']) === undefined) return this.#single(depth);
    const operand = this.#sign(deeper(depth, token));
    if (typeOf(operand) !== 'NUMBER')
      throw new ExpressionError(`- needs a NUMBER, and this is a ${typeOf(operand)}`, operand.at);
    return { kind: 'negative', operand, at: { start: token.start, end: operand.at.end } };
  }

  #single(depth: number): Expression {
    const token = this.#tokens[this.#next];
    if (token === undefined) throw new ExpressionError('the expression ends too early', null);
    if (token.kind === 'keyword' && token.value === 'NOT') return this.#negation(deeper(depth, token));
    this.#next++;
    const at: Place = { start: token.start, end: token.end };
    switch (token.kind) {
      case 'number':
        return { kind: 'literal', type: 'NUMBER', value: token.value, at };
      case 'string':
        return { kind: 'literal', type: 'STRING', value: token.value, at };
      case 'role':
        return { kind: 'literal', type: 'ROLE', value: token.value, at };
      case 'variable':
        return createVariable(token.value, at);
      case 'word':
        return this.#word(token.value, at, depth);
      case 'keyword':
        if (token.value === 'NULL') return { kind: 'literal', type: 'NULL', value: null, at };
        if (token.value === 'TRUE' || token.value === 'FALSE')
          return { kind: 'literal', type: 'BOOLEAN', value: token.value === 'TRUE', at };
        throw new ExpressionError(`unexpected ${shown(token)}`, at);
      case 'symbol': {
        if (token.value !== '(') throw new ExpressionError(`unexpected ${shown(token)}`, at);
        const inner = this.either(deeper(depth, token));
        this.#expect(')');
        return inner;
      }
      default:
        return token satisfies never;
    }
  }

  /** A function, or a text without quotes. */
  #word(word: string, at: Place, depth: number): Expression {
    const next = this.#tokens[this.#next];
    if (next?.kind !== 'symbol' || next.value !== '(')
      return { kind: 'literal', type: 'STRING', value: word, at };
    this.#next++;
    const isEmpty = this.#peekSymbol(')');
    const parameters = isEmpty ? [] : this.#expressions(deeper(depth, next));
    const end = this.#expect(')').end;
    return createCall(word, parameters, { start: at.start, end });
  }

  #expressions(depth: number): readonly Expression[] {
    const all = [this.either(depth)];
    while (this.#takeSymbol([',']) !== undefined) all.push(this.either(depth));
    return all;
  }

  #expect(symbol: string): Token {
    const token = this.#tokens[this.#next];
    if (token === undefined)
      throw new ExpressionError(`the expression ends where ${symbol} was expected`, null);
    if (this.#takeSymbol([symbol]) === undefined)
      throw new ExpressionError(`expected ${symbol}, not ${shown(token)}`, token);
    return token;
  }

  #peekSymbol(symbol: string): boolean {
    const token = this.#tokens[this.#next];
    return token?.kind === 'symbol' && token.value === symbol;
  }

  #takeSymbol<S extends string>(symbols: readonly S[]): S | undefined {
    const found = symbols.find((symbol) => this.#peekSymbol(symbol));
    if (found !== undefined) this.#next++;
    return found;
  }

  #takeKeyword(keyword: Keyword): boolean {
    const token = this.#tokens[this.#next];
    const isIt = token?.kind === 'keyword' && token.value === keyword;
    if (isIt) this.#next++;
    return isIt;
  }
}

function binary(operator: BinaryOperator, left: Expression, right: Expression): Expression {
  const at = { start: left.at.start, end: right.at.end };
  checkBinary(operator, left, right, at);
  return { kind: 'binary', operator, left, right, at };
}

/** What is nested deeper than anybody writes would overrun the stack of whoever evaluates it. */
function deeper(depth: number, token: Token | undefined): number {
  if (depth >= MAX_DEPTH)
    throw new ExpressionError(`nested more than ${MAX_DEPTH} deep`, token ?? { start: 0, end: 1 });
  return depth + 1;
}

function shown(token: Token): string {
  return token.kind === 'variable' ? `$.${token.value}` : JSON.stringify(token.value);
}

const MAX_DEPTH = 50;
const COMPARISONS = ['=', '<>', '<=', '>=', '<', '>'] as const;
const SUMS = ['+', '-'] as const;
const PRODUCTS = ['*', '/', '%'] as const;
