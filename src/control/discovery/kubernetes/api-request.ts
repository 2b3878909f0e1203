/**
 * One GET of the Kubernetes API, answered in full or followed line by line.
 */
import { Buffer } from 'node:buffer';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { RequestOptions } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { messageOf } from '../../../shared/message-of.ts';
import type { NameResolver } from '../../resolver.ts';
import { statusMessage } from './objects.ts';

// Not by import statements, which cost every start what admin/server.ts says.
const { request: httpRequest } = process.getBuiltinModule('node:http');
const { request: httpsRequest } = process.getBuiltinModule('node:https');

/** What the API said instead of what was asked for, or what kept it from saying anything. */
export class ApiFailure extends Error {
  /** `http_403`, `ECONNREFUSED`, `timeout`, `stalled`, `bad_answer`, … */
  readonly code: string;
  /** How long the server wants to be left alone; 0 where it did not say. */
  readonly retryAfterMs: number;

  constructor(code: string, message: string, retryAfterMs = 0) {
    super(message);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

export function toApiFailure(error: unknown): ApiFailure {
  if (error instanceof ApiFailure) return error;
  if (!(error instanceof Error)) return new ApiFailure('error', String(error));
  return new ApiFailure('code' in error ? String(error.code) : 'error', error.message);
}

export type ApiRequest = {
  readonly url: URL;
  readonly options: RequestOptions;
  readonly resolver: NameResolver;
  readonly signal: AbortSignal;
  /** Until the head of the answer has come. */
  readonly timeoutMs: number;
};

/** @returns the answer, its head read and its status 200. @throws ApiFailure */
export async function openAnswer(call: ApiRequest): Promise<IncomingMessage> {
  const { url, options, signal, timeoutMs } = call;
  const send = url.protocol === 'http:' ? httpRequest : httpsRequest;
  const request = send(url, {
    ...options,
    headers: { ...options.headers, Accept: 'application/json', 'User-Agent': 'fairlead' },
    // An API server that is gone has no end to send.
    agent: options.agent ?? false,
    lookup: lookupBy(call.resolver),
    signal,
  });
  const timer = setTimeout(() => {
    request.destroy(new ApiFailure('timeout', `no answer from ${url.host} within ${timeoutMs} ms`));
  }, timeoutMs);
  try {
    request.end();
    const [answer]: IncomingMessage[] = await once(request, 'response');
    if (answer === undefined) throw new ApiFailure('bad_answer', 'an answer without a head');
    // Whoever reads gets the error from the stream; after that nobody is left to.
    request.on('error', (error) => answer.destroy(error));
    if (answer.statusCode !== 200) throw await failureOf(answer);
    return answer;
  } catch (error) {
    request.destroy();
    throw toApiFailure(error);
  } finally {
    clearTimeout(timer);
  }
}

/** The whole answer as JSON. @throws ApiFailure */
export async function readJson(answer: IncomingMessage, timeoutMs: number): Promise<unknown> {
  const timer = setTimeout(() => {
    answer.destroy(new ApiFailure('timeout', `no complete answer within ${timeoutMs} ms`));
  }, timeoutMs);
  try {
    return parseJson(await readText(answer, MAX_ANSWER_BYTES));
  } catch (error) {
    throw toApiFailure(error);
  } finally {
    clearTimeout(timer);
  }
}

/** The lines of an answer that goes on, as JSON. @param onData called with every chunk @throws ApiFailure */
export async function* readJsonLines(answer: IncomingMessage, onData: () => void): AsyncGenerator<unknown> {
  let rest: readonly Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer) {
    onData();
    if (!Buffer.isBuffer(chunk)) throw new ApiFailure('bad_answer', 'an answer that is no bytes');
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end !== -1; end = chunk.indexOf(NEWLINE, start)) {
      const line = Buffer.concat([...rest, chunk.subarray(start, end)]).toString('utf8');
      [rest, bytes, start] = [[], 0, end + 1];
      if (line.trim() !== '') yield parseJson(line);
    }
    const tail = chunk.subarray(start);
    [rest, bytes] = [[...rest, tail], bytes + tail.length];
    if (bytes > MAX_LINE_BYTES)
      throw new ApiFailure('bad_answer', `a line of more than ${MAX_LINE_BYTES} bytes`);
  }
}

async function failureOf(answer: IncomingMessage): Promise<ApiFailure> {
  const status = answer.statusCode ?? 0;
  const seconds = Number(answer.headers['retry-after'] ?? 0);
  const text = await readText(answer, MAX_ERROR_BYTES).catch((error: unknown) => String(error));
  const message = statusMessage(text) ?? `HTTP ${status}`;
  return new ApiFailure(`http_${status}`, message, Number.isFinite(seconds) ? seconds * 1000 : 0);
}

async function readText(answer: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer) {
    if (!Buffer.isBuffer(chunk)) throw new ApiFailure('bad_answer', 'an answer that is no bytes');
    bytes += chunk.length;
    if (bytes > maxBytes) throw new ApiFailure('bad_answer', `an answer of more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ApiFailure('bad_answer', messageOf(error));
  }
}

/** Names are resolved as those of members are, and not by the system's pool. */
function lookupBy(resolver: NameResolver): LookupFunction {
  return (hostname, options, callback) => {
    resolver.lookupAll(hostname).then(
      (found) => {
        const hosts = found.kind === 'found' ? found.hosts : [];
        const [first] = hosts;
        if (first === undefined) {
          const code = found.kind === 'found' ? 'ENODATA' : found.code;
          callback(Object.assign(new Error(`the name ${hostname} does not resolve: ${code}`), { code }), []);
        } else if (options.all === true) {
          callback(
            null,
            hosts.map((address) => ({ address, family: isIP(address) })),
          );
        } else callback(null, first, isIP(first));
      },
      (error: unknown) => callback(error instanceof Error ? error : new Error(String(error)), []),
    );
  };
}

const NEWLINE = 0x0a;
/** A list of all slices of a Service of some thousand endpoints takes a few MB. */
const MAX_ANSWER_BYTES = 64 * 1024 ** 2;
/** etcd keeps no object larger than 1.5 MiB. */
const MAX_LINE_BYTES = 8 * 1024 ** 2;
const MAX_ERROR_BYTES = 64 * 1024;
