/** Payloads of the command phase, for scripts. */

export type Payload = readonly number[];

export const IN_TRANS = 0x0001;
export const AUTOCOMMIT = 0x0002;
export const MORE_RESULTS = 0x0008;
export const CURSOR_EXISTS = 0x0040;
export const LAST_ROW_SENT = 0x0080;
export const PS_OUT_PARAMS = 0x1000;
export const IN_TRANS_READONLY = 0x2000;

export function ok(status = AUTOCOMMIT, header = 0x00): Payload {
  return [header, 0, 0, ...int2(status), 0, 0];
}

/** An OK with the longest integers, and text and session state behind the part that matters. */
export function longOk(status: number, header = 0x00): Payload {
  const huge = [0xfe, 1, 2, 3, 4, 5, 6, 7, 8];
  return [
    header,
    ...huge,
    ...huge,
    ...int2(status),
    1,
    0,
    ...text('Rows matched: 1'),
    ...new Array<number>(90).fill(7),
  ];
}

/** What ends rows under CLIENT_DEPRECATE_EOF. */
export function okEof(status = AUTOCOMMIT): Payload {
  return ok(status, 0xfe);
}

/** What ends definitions and rows otherwise. */
export function eof(status = AUTOCOMMIT): Payload {
  return [0xfe, 0, 0, ...int2(status)];
}

export function err(
  number = 1064,
  sqlState = '42000',
  message = 'You have an error in your SQL syntax',
): Payload {
  return [0xff, ...int2(number), 0x23, ...Buffer.from(sqlState), ...Buffer.from(message)];
}

export function column(name: string): Payload {
  const fixed = [0x0c, ...int2(63), 1, 0, 0, 0, 3, 0x81, 0, 0, 0, 0];
  return [...text('def'), ...text(''), ...text(''), ...text(''), ...text(name), ...text(''), ...fixed];
}

/** A row of the text protocol. */
export function textRow(...values: readonly (string | null)[]): Payload {
  return values.flatMap((value) => (value === null ? [0xfb] : text(value)));
}

/** A row of the binary protocol with one INT. */
export function binaryRow(value: number): Payload {
  return [0x00, 0x00, ...int4(value)];
}

export function prepareOk(columns: number, parameters: number, ...flag: readonly number[]): Payload {
  return [0x00, ...int4(1), ...int2(columns), ...int2(parameters), 0, ...int2(0), ...flag];
}

export function text(value: string): Payload {
  const bytes = Buffer.from(value);
  return [bytes.length, ...bytes];
}

export function int2(value: number): Payload {
  return [value & 0xff, value >> 8];
}

export function int4(value: number): Payload {
  return [value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >>> 24) & 0xff];
}
