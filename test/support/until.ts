/** Waiting in tests: for a condition, never for a time. */

/** Resolves once `holds` does; it is asked every few milliseconds. @throws after `deadlineMs`, saying what was waited for */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  deadlineMs = 20_000,
): Promise<void> {
  const startedAtMs = performance.now();
  while (!(await holds())) {
    if (performance.now() - startedAtMs > deadlineMs) throw new Error(`waited in vain: ${what}`);
    await pause(3);
  }
}

/** A stall that a test plays, not a wait for something to have happened. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
