/**
 * What a supervisor, an operator or another router tells this process by signals.
 */

/** SIGUSR1 is Node's own: it starts the debugger. */
export const HAND_OVER_SIGNAL = 'SIGUSR2';

export type StopSignal = 'SIGTERM' | 'SIGINT';

export type Orders = {
  /** Fulfilled by the first signal to stop. */
  readonly stop: Promise<StopSignal>;
  /** Fulfilled by the second. */
  readonly stopAtOnce: Promise<StopSignal>;
  /** Another process listens beside this one and takes its place. */
  readonly handOver: Promise<void>;
  readonly isStopAsked: boolean;
  /** Signals have their usual effect again. */
  close(): void;
};

export function listenForOrders(): Orders {
  const stop = Promise.withResolvers<StopSignal>();
  const stopAtOnce = Promise.withResolvers<StopSignal>();
  const handOver = Promise.withResolvers<void>();
  let isStopAsked = false;
  const onStop = (signal: NodeJS.Signals) => {
    const asked = signal === 'SIGINT' ? 'SIGINT' : 'SIGTERM';
    if (isStopAsked) stopAtOnce.resolve(asked);
    isStopAsked = true;
    stop.resolve(asked);
  };
  const onHandOver = () => handOver.resolve();
  process.on('SIGTERM', onStop);
  process.on('SIGINT', onStop);
  process.on(HAND_OVER_SIGNAL, onHandOver);
  return {
    stop: stop.promise,
    stopAtOnce: stopAtOnce.promise,
    handOver: handOver.promise,
    get isStopAsked() {
      return isStopAsked;
    },
    close() {
      process.off('SIGTERM', onStop);
      process.off('SIGINT', onStop);
      process.off(HAND_OVER_SIGNAL, onHandOver);
    },
  };
}
