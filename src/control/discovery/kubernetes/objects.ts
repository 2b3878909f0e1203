/**
 * Objects of the Kubernetes API, as much of them as is used: unknown JSON in, typed values out.
 * https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1/
 */
import { z } from 'zod';

const metadata = z.looseObject({
  name: z.string(),
  uid: z.string().default(''),
  resourceVersion: z.string(),
  labels: z.record(z.string(), z.string()).nullish(),
});

const sliceSchema = z.looseObject({
  metadata,
  addressType: z.string(),
  ports: z.array(z.looseObject({ name: z.string().nullish(), port: z.int().nullish() })).nullish(),
  endpoints: z
    .array(
      z.looseObject({
        addresses: z.array(z.string()),
        conditions: z
          .looseObject({
            ready: z.boolean().nullish(),
            serving: z.boolean().nullish(),
            terminating: z.boolean().nullish(),
          })
          .nullish(),
        hostname: z.string().nullish(),
        zone: z.string().nullish(),
        targetRef: z.looseObject({ name: z.string().nullish(), uid: z.string().nullish() }).nullish(),
      }),
    )
    .nullish(),
});

const podSchema = z.looseObject({ metadata });

const listSchema = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string(), continue: z.string().nullish() }),
  items: z.array(z.unknown()).nullish(),
});

const eventSchema = z.looseObject({ type: z.string(), object: z.unknown() });

const statusSchema = z.looseObject({ code: z.number().nullish(), message: z.string().nullish() });

const bookmarkSchema = z.looseObject({ metadata: z.looseObject({ resourceVersion: z.string() }) });

export type EndpointSlice = z.output<typeof sliceSchema>;
export type Pod = z.output<typeof podSchema>;
export type ObjectList = z.output<typeof listSchema>;
export type WatchEvent = z.output<typeof eventSchema>;

/** What every object has that can be listed and watched. */
export type ApiObject = { readonly metadata: { readonly name: string; readonly resourceVersion: string } };

/** @throws ZodError */
export const parseSlice = (object: unknown): EndpointSlice => sliceSchema.parse(object);
/** @throws ZodError */
export const parsePod = (object: unknown): Pod => podSchema.parse(object);
/** @throws ZodError */
export const parseList = (answer: unknown): ObjectList => listSchema.parse(answer);
/** @throws ZodError */
export const parseEvent = (line: unknown): WatchEvent => eventSchema.parse(line);

/** The resource version up to which nothing has been missed. @throws ZodError */
export function parseBookmark(object: unknown): string {
  return bookmarkSchema.parse(object).metadata.resourceVersion;
}

/** The object of an ERROR event. */
export function parseStatus(object: unknown): { readonly code: number; readonly message: string } {
  const { code, message } = statusSchema.parse(object);
  return { code: code ?? 0, message: message ?? 'the watch failed' };
}

/** What the API says in an answer that is an error; null where it says nothing. */
export function statusMessage(text: string): string | null {
  try {
    return statusSchema.parse(JSON.parse(text)).message ?? null;
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return null;
    throw error;
  }
}
