/**
 * Reading rows that a server sent: nothing about them is taken for granted.
 */
import { ControlFailure } from '../control-failure.ts';

export type Row = Readonly<Record<string, unknown>>;

/** The result sets of a text of several statements. @throws ControlFailure */
export function tablesIn(results: unknown): readonly (readonly Row[])[] {
  if (!Array.isArray(results)) throw unexpected('no result sets');
  return results.map(rowsIn);
}

/** @throws ControlFailure */
export function rowsIn(rows: unknown): readonly Row[] {
  if (!Array.isArray(rows) || !rows.every(isRow)) throw unexpected('no rows');
  return rows;
}

/** Rows of `SHOW … VARIABLES` and `SHOW … STATUS`; names in lower case. */
export function valuesIn(rows: readonly Row[]): ReadonlyMap<string, string> {
  return new Map(rows.map((row) => [textIn(row, 'Variable_name').toLowerCase(), textIn(row, 'Value')]));
}

/** The value as text; empty for NULL and for a column that is missing. */
export function textIn(row: Row, column: string): string {
  const value = row[column];
  return value === null || value === undefined ? '' : String(value);
}

/** The value as a number that is not negative; null for NULL, for a column that is missing, and for anything else. */
export function numberIn(row: Row, column: string): number | null {
  const text = textIn(row, column);
  const number = Number(text);
  return text === '' || !Number.isFinite(number) || number < 0 ? null : number;
}

/** True for anything but OFF: a switch may have more than two positions (read_only has, in MariaDB 12). */
export function isOn(text: string): boolean {
  return !OFF.has(text.toUpperCase());
}

export function unexpected(what: string): ControlFailure {
  return new ControlFailure('error', `unexpected answer: ${what}`, { isFatal: false });
}

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const OFF: ReadonlySet<string> = new Set(['', '0', 'OFF', 'NO', 'FALSE']);
