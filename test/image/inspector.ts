/** Node's own debugger, by which a test does to a thread what nothing in the program would. */
import { z } from 'zod';
import { waitFor } from '../../src/sandbox/index.ts';

/** Evaluates `expression` in the worker thread of that number; does not wait for what becomes of it. */
export async function evaluateInThread(
  port: number,
  threadNumber: number,
  expression: string,
): Promise<void> {
  const url = await waitFor({ what: 'the inspector to listen', timeoutMs: 30_000 }, async () => {
    const targets = TARGETS.parse(await (await fetch(`http://127.0.0.1:${port}/json/list`)).json());
    return targets[0]?.webSocketDebuggerUrl;
  });
  const socket = new WebSocket(url);
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true });
    socket.addEventListener('error', () => reject(new Error('the inspector did not answer')), { once: true });
  });
  const attached = new Promise<string>((resolve) => {
    const sessions: string[] = [];
    socket.addEventListener('message', ({ data }) => {
      const message = MESSAGE.parse(JSON.parse(String(data)));
      if (message.method !== 'NodeWorker.attachedToWorker' || message.params?.sessionId === undefined) return;
      sessions.push(message.params.sessionId);
      if (sessions.length === threadNumber) resolve(message.params.sessionId);
    });
  });
  const send = (id: number, method: string, params: object) =>
    socket.send(JSON.stringify({ id, method, params }));
  send(1, 'NodeWorker.enable', { waitForDebuggerOnStart: false });
  const message = JSON.stringify({ id: 1, method: 'Runtime.evaluate', params: { expression } });
  send(2, 'NodeWorker.sendMessageToWorker', { sessionId: await attached, message });
  // It is sent before the close.
  socket.close();
}

const TARGETS = z.array(z.object({ webSocketDebuggerUrl: z.string() }));
const MESSAGE = z.object({
  method: z.string().optional(),
  params: z.object({ sessionId: z.string().optional() }).optional(),
});
