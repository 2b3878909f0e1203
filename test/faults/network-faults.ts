/** Cables that are cut, cut in part, or cut again and again. */
import { setTimeout as pause } from 'node:timers/promises';
import { secondaryOf, tellTopology } from './group-faults.ts';
import type { Fault } from './stage.ts';

export const NETWORK_FAULTS: Readonly<Record<string, Fault>> = {
  'cut-primary': async ({ group, podOf, router }, note) => {
    const primary = await group.primary();
    await podOf(primary).cutCable();
    await group.waitForNewPrimary(primary);
    await pause(4000);
    await tellTopology({ router }, note);
    await podOf(primary).plugCable();
    await group.rejoin(primary);
  },
  'cut-from-all-members': async ({ group, network, router, routerPod }, note) => {
    await network.partition(
      [routerPod.host],
      group.members.map(({ host }) => host),
    );
    await pause(12_000);
    await tellTopology({ router }, note);
    await network.heal();
  },
  'cut-from-the-primary-alone': async ({ group, network, router, routerPod }, note) => {
    const primary = await group.primary();
    await network.partition([routerPod.host], [primary.host]);
    await pause(12_000);
    await tellTopology({ router }, note);
    await network.heal();
  },
  'cut-from-both-secondaries': async ({ group, network, router, routerPod }, note) => {
    const secondaries = await group.secondaries();
    await network.partition(
      [routerPod.host],
      secondaries.map(({ host }) => host),
    );
    await pause(8000);
    await tellTopology({ router }, note);
    await network.heal();
  },
  'primary-flaps': async ({ group, network, routerPod }) => {
    const primary = await group.primary();
    for (let round = 0; round < 12; round += 1) {
      await network.partition([routerPod.host], [primary.host]);
      await pause(900);
      await network.heal();
      await pause(900);
    }
  },
  'secondary-flaps': async (stage) => {
    const { network, routerPod } = stage;
    const secondary = await secondaryOf(stage);
    for (let round = 0; round < 12; round += 1) {
      await network.partition([routerPod.host], [secondary.host]);
      await pause(900);
      await network.heal();
      await pause(900);
    }
  },
  'one-way-among-members': async ({ group, network, router }, note) => {
    const primary = await group.primary();
    for (const { host } of await group.secondaries()) await network.drop(primary.host, host);
    await pause(12_000);
    await tellTopology({ router }, note);
    await network.heal();
    await group.waitUntilOnline();
  },
};
