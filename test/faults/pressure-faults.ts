/** Something runs out: disk of a member, memory, descriptors or time of the router. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { runCommand, type Server } from '../../src/sandbox/index.ts';
import { inheritedEnvironment } from '../../src/sandbox/run-command.ts';
import { isErrno } from '../../src/shared/errno.ts';
import type { NetworkGroup } from '../support/network-group.ts';
import { secondaryOf, tellTopology } from './group-faults.ts';
import type { Fault } from './stage.ts';

export const PRESSURE_FAULTS: Readonly<Record<string, Fault>> = {
  'disk-full-primary': async (stage, note) => {
    const primary = await stage.group.primary();
    await onSmallDisk(stage, primary, async () => {
      await stage.group.setPrimary(primary);
      await pause(1000);
      const filler = await fill(primary);
      note('the disk is full');
      await pause(20_000);
      await tellTopology(stage, note);
      await rm(filler);
      note('there is room again');
      await pause(15_000);
      await tellTopology(stage, note);
    });
  },
  'disk-full-secondary': async (stage, note) => {
    const secondary = await secondaryOf(stage);
    await onSmallDisk(stage, secondary, async () => {
      const filler = await fill(secondary);
      note('the disk is full');
      await pause(15_000);
      await tellTopology(stage, note);
      await rm(filler);
      note('there is room again');
      await pause(8000);
    });
  },
  'freeze-router-30s': async (stage, note) => {
    const { router } = stage;
    process.kill(router.pid, 'SIGSTOP');
    await pause(30_000);
    process.kill(router.pid, 'SIGCONT');
    await pause(3000);
    await tellTopology(stage, note);
  },
  'router-without-memory': async ({ router }, note) => {
    // Address space, since resident memory cannot be limited from outside; taken away while it runs.
    const [line = ''] = (await shell(`grep VmSize /proc/${router.pid}/status`)).split('\n');
    const kib = Number(/\d+/.exec(line)?.[0]);
    await shell(`prlimit --pid ${router.pid} --as=${(kib + 8 * 1024) * 1024}:`);
    await pause(8000);
    note(`/livez: ${(await router.get('/livez')).status}`);
    await shell(`prlimit --pid ${router.pid} --as=unlimited:`);
  },
  'router-with-few-descriptors': async ({ router }, note) => {
    const before = await shell(`prlimit --pid ${router.pid} --nofile --noheadings -o SOFT,HARD`);
    const [soft = '', hard = ''] = before.trim().split(/\s+/);
    await shell(`prlimit --pid ${router.pid} --nofile=36:${hard}`);
    await pause(8000);
    note(`/livez: ${await router.get('/livez').then(({ status }) => status, String)}`);
    await shell(`prlimit --pid ${router.pid} --nofile=${soft}:${hard}`);
  },
};

/** The member's data lies on a disk of its own with little room, for as long as `use` takes. */
async function onSmallDisk(stage: NetworkGroup, server: Server, use: () => Promise<void>): Promise<void> {
  const { group } = stage;
  const aside = join(stage.sandbox.directory, `${server.name}-aside`);
  await server.stop();
  await group.waitUntilGivenUp(server);
  await shell(`mv '${server.dataDirectory}' '${aside}' && mkdir '${server.dataDirectory}'`);
  const usedKib = Number((await shell(`du -sk '${aside}'`)).split('\t')[0]);
  await shell(`mount -t tmpfs -o size=${usedKib + ROOM_KIB}k small '${server.dataDirectory}'`);
  try {
    await shell(`cp -a '${aside}/.' '${server.dataDirectory}'`);
    await group.rejoin(server);
    await use();
    await server.stop();
    await group.waitUntilGivenUp(server);
    await shell(`rm -rf '${aside}' && cp -a '${server.dataDirectory}' '${aside}'`);
  } finally {
    await server.kill();
    await shell(`umount -l '${server.dataDirectory}'`);
    await shell(`rmdir '${server.dataDirectory}' && mv '${aside}' '${server.dataDirectory}'`);
  }
  await group.rejoin(server);
}

/** @returns the file that takes the room */
async function fill(server: Server): Promise<string> {
  const path = join(server.dataDirectory, 'filler.bin');
  const chunk = Buffer.alloc(1024 * 1024);
  try {
    for (;;) await writeFile(path, chunk, { flag: 'a' });
  } catch (error) {
    if (!isErrno(error) || error.code !== 'ENOSPC') throw error;
  }
  return path;
}

async function shell(script: string): Promise<string> {
  const { stdout } = await runCommand({ file: 'sh', args: ['-ec', script], env: inheritedEnvironment() });
  return stdout;
}

const ROOM_KIB = 60 * 1024;
