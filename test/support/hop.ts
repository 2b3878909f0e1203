import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Scope } from './scope.ts';

/**
 * Passes connections on to `port` from `localAddress`, and their ends as they are: a server's host cache ignores
 * 127.0.0.1, so what is to be counted has to come from elsewhere. @returns where it listens
 */
export async function startHop(scope: Scope, port: number, localAddress: string): Promise<number> {
  const hop = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ host: '127.0.0.1', port, localAddress, allowHalfOpen: true });
    near.pipe(far).pipe(near);
    near.on('error', () => far.destroy());
    far.on('error', () => near.destroy());
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  hop.listen(0, '127.0.0.1');
  await once(hop, 'listening');
  scope.teardown(() => hop.close());
  const address = hop.address();
  return address === null || typeof address === 'string' ? 0 : address.port;
}
