/** Clients that vanish without a word: the system probes them (limits.clientKeepAlive), and servers too. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { DataLab, labConfig, primaryAt } from '../support/data-lab.ts';
import { RawClient } from '../support/raw-client.ts';
import { serveOk } from '../support/scripted-server.ts';
import { until } from '../support/until.ts';

for (const mode of ['fast', 'portable'] as const) {
  t.test(`${mode}: an accepted connection is probed, until a reload says otherwise`, async (t) => {
    const lab = await DataLab.start(t, { mode });
    lab.publish(primaryAt(await lab.server(t, serveOk)));
    const client = await RawClient.logIn(lab.port());
    await client.command(COM_PING);
    await until('its answer to be acknowledged', () => keepAliveTimer(lab.port(), client) !== null);
    const probed = keepAliveTimer(lab.port(), client);
    t.ok(probed !== null && probed > 50 && probed <= 60, `the next probe in ${probed} s`);

    const [rw] = labConfig({ mode }).routes;
    if (rw === undefined) throw new Error('the lab has a route');
    const bound = [{ ...rw, index: 0, listen: { ...rw.listen, port: lab.port() } }];
    const config = labConfig({ mode, config: 'limits: { clientKeepAlive: 0 }' });
    lab.thread.receive({ kind: 'reload', config, routes: bound, tls: lab.tls?.materials ?? new Map() });
    const later = await RawClient.logIn(lab.port());
    await later.command(COM_PING);
    t.equal(keepAliveTimer(lab.port(), later), null);
    for (const each of [client, later]) each.close();
    await lab.settled();
  });
}

for (const mode of ['fast', 'portable'] as const) {
  t.test(`${mode}: a connection to a server is probed soon after it was made`, async (t) => {
    const lab = await DataLab.start(t, { mode });
    const server = await lab.server(t, serveOk);
    lab.publish(primaryAt(server));
    const client = await RawClient.logIn(lab.port());
    await client.command(COM_PING);
    await until('it to be probed', () => tableRows().some((row) => isProbedTo(server.port, row)));
    client.close();
    await lab.settled();
  });
}

function isProbedTo(port: number, row: string): boolean {
  const [, , remote = '', , , timer = ''] = row.trim().split(/\s+/);
  return remote.endsWith(`:${hex(port)}`) && timer.startsWith(`${KEEP_ALIVE}:`);
}

function tableRows(): readonly string[] {
  return readFileSync('/proc/net/tcp', 'latin1').split('\n');
}

function hex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}

/** Seconds until the router's side of the connection is probed; null when it is not. Source: proc_net_tcp in the kernel's docs. */
function keepAliveTimer(port: number, client: RawClient): number | null {
  const peer = hex(client.socket.localPort ?? 0);
  const row = tableRows().find((line) => line.includes(`:${hex(port)} 0100007F:${peer} `));
  if (row === undefined) throw new Error('the connection is not in the table');
  const [, , , , , timer = ''] = row.trim().split(/\s+/);
  const [kind = '', ticks = ''] = timer.split(':');
  return kind === KEEP_ALIVE ? Number.parseInt(ticks, 16) / TICKS_PER_SECOND : null;
}

const KEEP_ALIVE = '02';
const TICKS_PER_SECOND = 100;
const COM_PING = 14;
