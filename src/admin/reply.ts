/**
 * An answer of the admin server as plain data.
 */
export type Reply = {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
};

export function textReply(status: number, body: string): Reply {
  return { status, contentType: 'text/plain; charset=utf-8', body };
}

export function jsonReply(status: number, value: unknown): Reply {
  return { status, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(value)}\n` };
}

/** `code` is for programs and stays the same across versions; `message` is for people. */
export function errorReply(status: number, code: string, message: string): Reply {
  return jsonReply(status, { error: { code, message } });
}
