/** The functions of the guidelines' language. */
import { unreachable } from '../unreachable.ts';
import type { FunctionName, Value } from './expression.ts';

/** A value is none that a function can take: whatever asked does not match. */
export class EvaluationError extends Error {
  override readonly name = 'EvaluationError';
}

/** @param values of the types the function takes, none of them null @throws EvaluationError */
export function valueOfCall(name: FunctionName, values: readonly Value[]): Value {
  const [first, second, third] = values;
  const text = String(first);
  const part = String(second).toLowerCase();
  switch (name) {
    case 'SQRT':
      return Math.sqrt(Number(first));
    case 'NUMBER':
      return numberIn(text);
    case 'IS_IPV4':
      return isIpv4(text);
    case 'IS_IPV6':
      return isIpv6(text);
    case 'SUBSTRING_INDEX':
      return substringIndex(text, String(second), Math.trunc(Number(third)));
    case 'STARTSWITH':
      return text.toLowerCase().startsWith(part);
    case 'ENDSWITH':
      return text.toLowerCase().endsWith(part);
    case 'CONTAINS':
      return text.toLowerCase().includes(part);
    case 'NETWORK':
      return networkOf(text, Number(second));
    case 'CONCAT':
      return values
        .map((value) => (typeof value === 'boolean' ? (value ? '1' : '0') : String(value)))
        .join('');
    default:
      return unreachable(name);
  }
}

function numberIn(text: string): number {
  const number = text.trim() === '' ? Number.NaN : Number(text);
  if (Number.isNaN(number)) throw new EvaluationError(`NUMBER: ${JSON.stringify(text)} is no number`);
  return number;
}

/** What stands before the `count`th delimiter, or behind it counted from the end. */
function substringIndex(text: string, delimiter: string, count: number): string {
  if (count === 0 || delimiter === '') return '';
  const parts = text.split(delimiter);
  return (count > 0 ? parts.slice(0, count) : parts.slice(count)).join(delimiter);
}

/** The first address of the network, as text. */
function networkOf(address: string, bits: number): string {
  if (!isIpv4(address)) throw new EvaluationError(`NETWORK: ${JSON.stringify(address)} is no IPv4 address`);
  return address
    .split('.')
    .map((byte, index) => {
      const kept = Math.min(8, Math.max(0, bits - 8 * index));
      return Number(byte) & (0xff00 >> kept) & 0xff;
    })
    .join('.');
}

function isIpv4(text: string): boolean {
  return /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/.test(text);
}

/** Groups of up to four digits, one row of them left out as `::`; the last two may be written as IPv4. */
function isIpv6(text: string): boolean {
  const [address = ''] = text.split('%');
  const plain = address.replace(/(^|:)(\d+\.\d+\.\d+\.\d+)$/, (all, before: string, last: string) =>
    isIpv4(last) ? `${before}0:0` : all,
  );
  const halves = plain.split('::');
  const groups = halves.flatMap((half) => (half === '' ? [] : half.split(':')));
  if (!groups.every((group) => /^[\da-f]{1,4}$/i.test(group))) return false;
  return halves.length === 1 ? groups.length === 8 : halves.length === 2 && groups.length < 8;
}
