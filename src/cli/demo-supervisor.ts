/** Starts killed members again, as Kubernetes or systemd would, so that the demo can go on after a kill. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Group, Server } from '../sandbox/index.ts';
import { messageOf } from '../shared/message-of.ts';
import { RESTART_AFTER_S } from './demo-text.ts';
import type { Terminal } from './terminal.ts';

/** Returns once `signal` is aborted. */
export async function superviseMembers(group: Group, terminal: Terminal, signal: AbortSignal): Promise<void> {
  const away = new Set<Server>();
  const bringBack = async (member: Server): Promise<void> => {
    away.add(member);
    try {
      await sleep(RESTART_AFTER_S * 1000, undefined, { signal });
      await restart(group, member);
      terminal.writeOut(`\n  ${member.address} is back in the group, with pid ${member.pid}\n\n`);
      away.delete(member);
    } catch (error) {
      // The sandbox closes under whatever is being tried: no news.
      if (signal.aborted) return;
      const reason = messageOf(error);
      terminal.writeError(`\n  ${member.address} could not be brought back (${reason}).\n${LOST}\n\n`);
    }
  };
  while (!signal.aborted) {
    for (const member of group.members) {
      if (!member.isRunning && !away.has(member)) void bringBack(member);
    }
    await sleep(LOOK_MS);
  }
}

async function restart(group: Group, member: Server): Promise<void> {
  if (group.members.length > 1) return group.rejoin(member);
  await member.start();
  await group.bootstrap();
}

const LOOK_MS = 200;
const LOST = `  A group that has lost more than half of its members takes no writes and lets nobody in, until an operator says which
  member it starts from again. Here Ctrl-C and a new demo are quicker.`;
