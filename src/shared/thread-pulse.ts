/**
 * What is known of a data thread's event loop: there is no thread now; it turns; it has not for seconds; or the thread was told to
 * end and does not, so it is inside a call that nothing interrupts.
 */
export type ThreadPulse = 'absent' | 'beating' | 'silent' | 'stuck';

export function countHung(pulses: readonly ThreadPulse[]): number {
  return pulses.filter((pulse) => pulse === 'silent' || pulse === 'stuck').length;
}
