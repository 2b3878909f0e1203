/**
 * What only Aurora has, before a real MySQL server: a relay that lets everything through and rewrites the questions whose
 * answers are Aurora's. They are still answered by the server, out of rows that the test gives.
 */
import { createConnection, createServer, type Socket } from 'node:net';
import { encodePacket } from '../../protocol/packet-header.ts';

export type AuroraInstanceFacts = {
  readonly serverId: string;
  readonly host: string;
  /** The real server. */
  readonly serverPort: number;
  /** What the cluster is at this moment. */
  readonly cluster: AuroraClusterFacts;
};

export type AuroraClusterFacts = {
  writer: string;
  /** Rows of replica_host_status by instance: lag in milliseconds, and seconds since the row was written. */
  readonly instances: Map<string, { lagMs: number; ageSeconds: number }>;
};

export type AuroraInstance = { readonly port: number; close(): void };

export async function startAuroraInstance(facts: AuroraInstanceFacts, port = 0): Promise<AuroraInstance> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = createConnection({ host: '127.0.0.1', port: facts.serverPort });
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      // A reset is an end like any other here.
      socket.on('error', () => other.destroy());
    }
    upstream.pipe(client);
    relayRewritten(client, upstream, facts);
  });
  await new Promise<void>((resolve) => server.listen(port, facts.host, resolve));
  const address = server.address();
  return {
    port: address === null || typeof address === 'string' ? 0 : address.port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

function relayRewritten(client: Socket, upstream: Socket, facts: AuroraInstanceFacts): void {
  let rest: Buffer = Buffer.alloc(0);
  client.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readUIntLE(0, 3)) {
      const end = 4 + rest.readUIntLE(0, 3);
      const packet = rest.subarray(0, end);
      rest = rest.subarray(end);
      const isQuery = packet[3] === 0 && packet[4] === COM_QUERY;
      upstream.write(isQuery ? rewritten(packet, facts) : packet);
    }
  });
}

function rewritten(packet: Buffer, { serverId, cluster }: AuroraInstanceFacts): Buffer {
  const sql = packet.toString('utf8', 5);
  const rows = [...cluster.instances].map(
    ([id, { lagMs, ageSeconds }]) =>
      `SELECT '${id}' AS server_id, IF('${id}' = '${cluster.writer}', 'MASTER_SESSION_ID', UUID()) AS session_id,` +
      ` ${lagMs} AS replica_lag_in_milliseconds, NOW() - INTERVAL ${ageSeconds} SECOND AS last_update_timestamp`,
  );
  const text = sql
    .replace(
      /SHOW GLOBAL VARIABLES (WHERE .*)$/,
      `SELECT VARIABLE_NAME AS Variable_name, VARIABLE_VALUE AS Value FROM performance_schema.global_variables $1 UNION ALL SELECT 'aurora_server_id', '${serverId}'`,
    )
    .replaceAll('@@aurora_server_id', `'${serverId}'`)
    .replaceAll('@@global.innodb_read_only', cluster.writer === serverId ? '0' : '1')
    .replaceAll(
      'information_schema.replica_host_status',
      `(${rows.join(' UNION ALL ')}) AS replica_host_status`,
    );
  return encodePacket(Buffer.concat([Buffer.from([COM_QUERY]), Buffer.from(text)]), 0);
}

const COM_QUERY = 3;
