/** Moving bytes between client and server. */
import { z } from 'zod';
import { boolean, choice, size } from '../keys.ts';

export const relay = z.strictObject({
  mode: choice(['auto', 'fast', 'portable'] as const, {
    doc: "How bytes are moved: `fast` reads into one shared buffer per thread, `portable` uses Node's ordinary streams.",
    why: '`auto` takes `fast` where a self-test at start finds that it works in this Node. `portable` is the way out should that ever be wrong.',
    default: 'auto',
  }),
  bufferBytes: size({
    doc: 'Size of a read buffer.',
    why: 'Larger moves large results with fewer system calls; small queries do not care.',
    min: '4KiB',
    max: '16MiB',
    default: '64KiB',
  }),
  tracking: boolean({
    doc: 'Follow commands and transactions in the stream, so that sessions can end between two commands.',
    why: 'Without it every session is opaque: it is not known when it is idle, and commands are not counted.',
    default: true,
  }),
});
