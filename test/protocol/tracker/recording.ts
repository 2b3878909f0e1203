/**
 * Recorded conversations as text files: what was agreed, the bytes of each side in order, and what the tracker must
 * tell. `FAIRLEAD_RECORD=1` on the test against a real server writes them anew.
 *
 *     # mysqld 9.7.4, mysql2
 *     agreed shared=1a2b mariadb=0 status=2
 *     C 0f0000000353454c4543542031
 *     S 0100000101…
 *     = begin QUERY
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TrackerCapabilities } from '../../../protocol/command-tracker.ts';
import { type Conversation, joinSegments, replay, type Segment, withoutBytes } from './conversation.ts';

/** All recordings of a folder; by default those of real sessions. */
export function readRecordings(directory = RECORDED): readonly Conversation[] {
  return readdirSync(directory)
    .filter((file) => file.endsWith('.txt'))
    .sort()
    .map((file) => parseRecording(file, readFileSync(join(directory, file), 'utf8')));
}

/** Writes a conversation with what the tracker tells of it today; someone must have checked that. */
export function writeRecording(
  file: string,
  origin: string,
  agreed: TrackerCapabilities,
  segments: readonly Segment[],
): void {
  const joined = joinSegments(segments);
  const expected = withoutBytes(replay(agreed, joined));
  writeFileSync(join(RECORDED, file), formatRecording({ name: origin, agreed, segments: joined, expected }));
}

export function formatRecording({ name, agreed, segments, expected }: Conversation): string {
  const [shared, mariadb, status] = [
    agreed.sharedCapabilities,
    agreed.sharedMariadbCapabilities,
    agreed.statusFlags,
  ].map((flags) => flags.toString(16));
  const lines = [
    `# ${name}`,
    `agreed shared=${shared} mariadb=${mariadb} status=${status}`,
    ...segments.map(({ side, bytes }) => `${side === 'client' ? 'C' : 'S'} ${bytes.toString('hex')}`),
    ...expected.map((line) => `= ${line}`),
  ];
  return `${lines.join('\n')}\n`;
}

export function parseRecording(name: string, content: string): Conversation {
  const segments: Segment[] = [];
  const expected: string[] = [];
  let agreed: TrackerCapabilities | undefined;
  for (const line of content.split('\n')) {
    if (line.startsWith('C ')) segments.push({ side: 'client', bytes: Buffer.from(line.slice(2), 'hex') });
    else if (line.startsWith('S '))
      segments.push({ side: 'server', bytes: Buffer.from(line.slice(2), 'hex') });
    else if (line.startsWith('= ')) expected.push(line.slice(2));
    else if (line.startsWith('agreed ')) agreed = parseAgreed(line);
  }
  if (agreed === undefined) throw new Error(`${name} does not say what was agreed`);
  return { name, agreed, segments, expected };
}

function parseAgreed(line: string): TrackerCapabilities {
  const match = /shared=([0-9a-f]+) mariadb=([0-9a-f]+) status=([0-9a-f]+)/.exec(line);
  const [shared = '', mariadb = '', status = ''] = match?.slice(1) ?? [];
  return {
    sharedCapabilities: Number.parseInt(shared, 16),
    sharedMariadbCapabilities: Number.parseInt(mariadb, 16),
    statusFlags: Number.parseInt(status, 16),
  };
}

const RECORDED = join(import.meta.dirname, 'recorded');
