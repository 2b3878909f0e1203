/**
 * Entry of a data thread: joins a DataThread to the main thread's messages.
 */
import { parentPort, workerData } from 'node:worker_threads';
import type { DataThreadStart, FromDataThread, ToDataThread } from '../shared/messages.ts';
import { startDataThread } from './data-thread.ts';

const port = parentPort;
if (port === null) throw new Error('thread.ts is run as a worker thread only');

// The main thread starts it with exactly this.
const start = workerData as DataThreadStart;
const post = (message: FromDataThread) => port.postMessage(message);

/** What arrives while the transport is being chosen and the listeners are bound. */
const early: ToDataThread[] = [];
let receive = (message: ToDataThread): void => void early.push(message);
port.on('message', (message: ToDataThread) => receive(message));

const thread = await startDataThread(start, post);
receive = (message) => thread.receive(message);
for (const message of early) thread.receive(message);
