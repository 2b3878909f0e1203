/**
 * An answer in time or none.
 */
export type Timely<T> = { readonly kind: 'answer'; readonly value: T } | { readonly kind: 'late' };

/** Waits for `promise` at most `deadlineMs`; what comes later, also a failure, is dropped. */
export async function inTime<T>(promise: Promise<T>, deadlineMs: number): Promise<Timely<T>> {
  const { promise: late, resolve } = Promise.withResolvers<Timely<T>>();
  const timer = setTimeout(() => resolve({ kind: 'late' }), deadlineMs);
  try {
    return await Promise.race([promise.then((value) => ({ kind: 'answer', value }) as const), late]);
  } finally {
    clearTimeout(timer);
  }
}
