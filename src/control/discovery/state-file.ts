/**
 * The members of the last good topology on disk, for a start while no source finds anything: names, addresses and
 * identities. No secrets, and no roles: those come from the servers. Of a ClusterSet or ReplicaSet also the highest view, so
 * that a primary which a failover has left behind is not believed after a restart either.
 */
import { readFileSync, statSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { z } from 'zod';
import { bareDestination, type Destination } from '../../../routing/destinations.ts';
import type { HighestView } from '../../../routing/metadata/picture.ts';
import type { Topology } from '../../../routing/topology.ts';
import { isErrno } from '../../shared/errno.ts';
import type { EventLog } from '../../shared/events.ts';
import { messageOf } from '../../shared/message-of.ts';

const memberSchema = z.object({
  address: z.string().regex(/^(?:\[[0-9a-fA-F:.]+(?:%[\w.-]+)?\]|[^\s:[\]]+):\d{1,5}$/),
  server_uuid: z.string().min(1).max(100),
  host: z.string().refine((host) => isIP(host) !== 0),
});
const viewSchema = z.object({ id: z.string().min(1).max(100), view_id: z.int().min(0) });
const stateSchema = z.object({
  version: z.literal(1),
  members: z.array(memberSchema).max(1000),
  highest_view: viewSchema.nullish(),
});

export type Remembered = {
  readonly destinations: readonly Destination[];
  readonly highestView: HighestView | null;
};

/** What an earlier run has kept, where it was told to. */
export function rememberedAt(path: string | null, events: EventLog): Remembered {
  return path === null ? NOTHING : readStateFile(path, events);
}

/** What the file holds; nothing where there is none. One that cannot be read is told of and ignored. */
export function readStateFile(path: string, events: EventLog): Remembered {
  try {
    const facts = statSync(path);
    if (!facts.isFile()) throw new Error('it is no file');
    if (facts.size > MAX_STATE_BYTES) throw new Error(`it is larger than ${MAX_STATE_BYTES / 1024} KiB`);
    const state = stateSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
    const view = state.highest_view ?? null;
    return {
      destinations: state.members.map(({ address, server_uuid: id, host }) => ({
        ...bareDestination(address),
        id,
        dialHost: host,
      })),
      highestView: view === null ? null : { id: view.id, viewId: view.view_id, isFormer: true },
    };
  } catch (error) {
    if (isErrno(error) && error.code === 'ENOENT') return NOTHING;
    const reason = error instanceof z.ZodError ? z.prettifyError(error) : String(error);
    events.record('warn', 'state_file_unusable', `${path} is ignored: ${reason}`, { file: path });
    return NOTHING;
  }
}

/** Hundreds of members take a few hundred bytes each. */
const MAX_STATE_BYTES = 1024 * 1024;
const NOTHING: Remembered = { destinations: [], highestView: null };

export type StateFile = {
  /** Writes members and view, if they or the path are others than before, or writing failed; an empty list never. */
  remember(topology: Topology, highestView: HighestView | null): void;
};

/** @param path where to write now; null for nowhere */
export function createStateFile(path: () => string | null, events: EventLog): StateFile {
  let written: { readonly target: string | null; readonly text: string } = { target: null, text: '' };
  let isWriting = false;
  let pending: string | null = null;
  let failure = '';

  const write = async (target: string, text: string): Promise<void> => {
    // Whoever reads sees the former file or this one, and never half of one.
    await writeFile(`${target}.new`, text, { mode: 0o600, flush: true });
    await rename(`${target}.new`, target);
  };
  const next = (): void => {
    const target = path();
    if (isWriting || pending === null || target === null) return;
    const text = pending;
    pending = null;
    isWriting = true;
    write(target, text)
      .then(
        () => {
          failure = '';
        },
        (error: unknown) => {
          const reason = messageOf(error);
          written = { target: null, text: '' };
          if (reason === failure) return;
          failure = reason;
          events.record('warn', 'state_file_not_written', `${target} cannot be written: ${reason}`, {
            file: target,
          });
        },
      )
      .finally(() => {
        isWriting = false;
        next();
      });
  };

  return {
    remember(topology, highestView) {
      const members = topology.members.flatMap(({ id, address, dial, acceptsReads, acceptsWrites }) =>
        id === '' || dial === null || !(acceptsReads || acceptsWrites)
          ? []
          : [{ address, server_uuid: id, host: dial.host }],
      );
      if (members.length === 0) return;
      const view =
        highestView === null ? {} : { highest_view: { id: highestView.id, view_id: highestView.viewId } };
      const text = `${JSON.stringify({ version: 1, members, ...view }, null, 2)}\n`;
      const target = path();
      if (text === written.text && target === written.target) return;
      written = { target, text };
      pending = text;
      next();
    },
  };
}
