/**
 * A guideline's `match` cut into words. Words without quotes are strings, unless they are keywords, roles or functions.
 */
import { ExpressionError, type Place } from './expression.ts';

export type Token = Place &
  (
    | { readonly kind: 'number'; readonly value: number }
    | { readonly kind: 'string'; readonly value: string }
    /** Without its `$.`. */
    | { readonly kind: 'variable'; readonly value: string }
    | { readonly kind: 'role'; readonly value: string }
    | { readonly kind: 'keyword'; readonly value: Keyword }
    /** A word that may turn out to be a function. */
    | { readonly kind: 'word'; readonly value: string }
    | { readonly kind: 'symbol'; readonly value: string }
  );

export type Keyword = (typeof KEYWORDS)[number];

/** @throws ExpressionError */
export function tokensOf(text: string): readonly Token[] {
  const tokens: Token[] = [];
  for (let start = 0; start < text.length; ) {
    const space = /^\s+/.exec(text.slice(start));
    if (space !== null) {
      start += space[0].length;
      continue;
    }
    const token = tokenAt(text, start);
    tokens.push(token);
    start = token.end;
  }
  return tokens;
}

function tokenAt(text: string, start: number): Token {
  const rest = text.slice(start);
  const first = rest.charAt(0);
  if (first === "'" || first === '"') return quotedAt(text, start);
  const symbol = /^(?:<=|>=|<>|[-+*/%()<>=,])/.exec(rest)?.[0];
  if (symbol !== undefined) return { kind: 'symbol', value: symbol, ...placeOf(start, symbol) };
  const number = /^\d+(?:\.\d+)?(?:[eE][-+]?\d+)?/.exec(rest)?.[0];
  if (number !== undefined) return { kind: 'number', value: Number(number), ...placeOf(start, number) };
  if (first === '$') {
    const name = /^\$\.([A-Za-z]\w*(?:\.[A-Za-z_]\w*)*)/.exec(rest);
    if (name === null)
      throw new ExpressionError('a variable begins with "$." and a letter', placeOf(start, '$'));
    return { kind: 'variable', value: name[1] ?? '', ...placeOf(start, name[0]) };
  }
  const word = /^[A-Za-z]\w*(?:\.[A-Za-z_]\w*)*/.exec(rest)?.[0];
  if (word !== undefined) return wordToken(word, placeOf(start, word));
  if (first === '{' || first === '[')
    throw new ExpressionError('objects and lists of JSON are not supported here', placeOf(start, first));
  throw new ExpressionError(`unexpected character ${JSON.stringify(first)}`, placeOf(start, first));
}

function wordToken(word: string, place: Place): Token {
  const upper = word.toUpperCase();
  const keyword = KEYWORDS.find((candidate) => candidate === upper);
  if (keyword !== undefined) return { kind: 'keyword', value: keyword, ...place };
  if (ROLES.has(upper)) return { kind: 'role', value: upper, ...place };
  return { kind: 'word', value: word, ...place };
}

/** Between two quotes of one kind; a backslash takes the next character as it is, or is one of MySQL's short forms. */
function quotedAt(text: string, start: number): Token {
  const quote = text.charAt(start);
  let value = '';
  for (let index = start + 1; index < text.length; index++) {
    const character = text.charAt(index);
    if (character === quote) return { kind: 'string', value, start, end: index + 1 };
    if (character !== '\\') {
      value += character;
      continue;
    }
    const escaped = text.charAt(++index);
    value += ESCAPES.get(escaped) ?? escaped;
  }
  throw new ExpressionError(`the text that begins with ${quote} does not end`, placeOf(start, quote));
}

function placeOf(start: number, text: string): Place {
  return { start, end: start + text.length };
}

const KEYWORDS = ['TRUE', 'FALSE', 'NULL', 'IN', 'NOT', 'AND', 'OR', 'LIKE'] as const;
const ROLES: ReadonlySet<string> = new Set(['PRIMARY', 'SECONDARY', 'READ_REPLICA', 'REPLICA', 'UNDEFINED']);
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['t', '\t'],
  ['r', '\r'],
  ['b', '\b'],
  ['0', '\0'],
  ['Z', '\x1a'],
]);
