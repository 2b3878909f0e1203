/** A group that its router knows by names, and name servers that are slow, fail, or answer now this and now that. */
import { createServer, connect as openConnection } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import type { Server } from '../../src/sandbox/index.ts';
import { type DnsServer, startDnsServer } from '../control/dns-server.ts';
import { type NetworkGroup, startNetworkGroup } from '../support/network-group.ts';
import type { Scope } from '../support/scope.ts';
import { secondaryOf, tellTopology } from './group-faults.ts';
import type { Fault } from './stage.ts';

export type NameStage = {
  readonly network: NetworkGroup;
  readonly dns: DnsServer;
  nameOf(server: Server): string;
};

export async function startNameStage(scope: Scope): Promise<NameStage> {
  let dns: DnsServer | undefined;
  const nameOf = ({ serverId }: Server): string => `m${serverId}.db.example`;
  const network = await startNetworkGroup(scope, {
    discovery: async (_sandbox, { outside }, group) => {
      dns = await startDnsServer(outside);
      for (const member of group.members) pointTo(dns, nameOf(member), member.host);
      return {
        seeds: group.members.map((member) => `${nameOf(member)}:${member.port}`),
        flags: [`--dns-servers=${dns.server}`],
      };
    },
  });
  if (dns === undefined) throw new Error('there is a name server');
  const server = dns;
  scope.teardown(() => server.close());
  return { network, dns, nameOf };
}

export const NAME_FAULTS: Readonly<Record<string, Fault<NameStage>>> = {
  'slow-names-in-failover': async (stage, note) => {
    stage.dns.delayMs = 4000;
    await pause(3000);
    await failOver(stage, note);
    stage.dns.delayMs = 0;
  },
  'failing-names-in-failover': async (stage, note) => {
    for (const { name } of namesOf(stage)) stage.dns.answers.set(name, { kind: 'failure' });
    await pause(3000);
    await failOver(stage, note);
    putRight(stage);
  },
  'silent-names-in-failover': async (stage, note) => {
    for (const { name } of namesOf(stage)) stage.dns.answers.set(name, { kind: 'silence' });
    await pause(3000);
    await failOver(stage, note);
    putRight(stage);
  },
  'truncated-answers': async (stage, note) => {
    stage.dns.truncates = true;
    await pause(3000);
    await failOver(stage, note);
    stage.dns.truncates = false;
  },
  'names-that-are-gone': async (stage, note) => {
    for (const { name } of namesOf(stage)) stage.dns.answers.set(name, { kind: 'no-such-name' });
    await pause(8000);
    await tellTopology(stage.network, note);
    putRight(stage);
    await pause(2000);
  },
  'alternating-answers': async (stage, note) => {
    // Of each name the next member's address in turns: all of them lead into the group, now to this and now to that member.
    for (let round = 0; round < 8; round += 1) {
      shift(stage, round % 2);
      await pause(1500);
    }
    await tellTopology(stage.network, note);
    putRight(stage);
    await pause(2000);
  },
  'alternating-answers-in-failover': async (stage, note) => {
    let isOver = false;
    const shifting = (async () => {
      for (let round = 0; !isOver; round += 1) {
        shift(stage, round % 3);
        await pause(1000);
      }
    })();
    await failOver(stage, note);
    isOver = true;
    await shifting;
    putRight(stage);
    await pause(2000);
  },
  'moved-primary': async (stage, note) => move(stage, await stage.network.group.primary(), note),
  'moved-secondary': async (stage, note) => move(stage, await secondaryOf(stage.network), note),
};

/** The member is to be had at another address only; its name says so. Within the group nothing changes. */
async function move(stage: NameStage, server: Server, note: (text: string) => void): Promise<void> {
  const { network, dns } = stage;
  const { outside } = network.network;
  const gate = createServer({ noDelay: true }, (client) => {
    const inner = openConnection({ host: server.host, port: server.port, noDelay: true });
    for (const [one, other] of [
      [client, inner],
      [inner, client],
    ] as const) {
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => gate.listen(server.port, outside, resolve));
  await network.network.partition([network.routerPod.host], [server.host]);
  await pause(1000);
  pointTo(dns, stage.nameOf(server), outside);
  await pause(12_000);
  await tellTopology(network, note);
  await network.network.heal();
  putRight(stage);
  await pause(4000);
  await tellTopology(network, note);
  gate.close();
}

async function failOver({ network }: NameStage, note: (text: string) => void): Promise<void> {
  const { group } = network;
  const primary = await group.primary();
  await primary.kill();
  await group.waitForNewPrimary(primary);
  await pause(1000);
  await tellTopology(network, note);
  await group.rejoin(primary);
}

function namesOf({ network, nameOf }: NameStage) {
  return network.group.members.map((server) => ({ name: nameOf(server), host: server.host }));
}

function putRight(stage: NameStage): void {
  for (const { name, host } of namesOf(stage)) pointTo(stage.dns, name, host);
}

function shift(stage: NameStage, by: number): void {
  const names = namesOf(stage);
  for (const [index, { name }] of names.entries()) {
    const host = names[(index + by) % names.length]?.host;
    if (host !== undefined) pointTo(stage.dns, name, host);
  }
}

function pointTo(dns: DnsServer, name: string, host: string): void {
  dns.answers.set(name, { kind: 'addresses', addresses: [host], ttlSeconds: 1 });
}
