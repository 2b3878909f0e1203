/**
 * What is known of each member of the topology, and what the data threads did with it. A member that has left the
 * topology leaves the exposition with it.
 */
import type { Member, MemberRole, MemberState } from '../../../routing/topology.ts';
import { DIAL_RESULTS, MAX_MEMBER_SLOTS, MEMBER, memberOffset } from '../../shared/counters.ts';
import type { AdminSources, ProbeFacts } from '../sources.ts';
import type { CounterReader } from './counter-reader.ts';
import type { Family, Labels, WriteSample } from './family.ts';
import { createLabelBook, labelsForEach } from './label-book.ts';

export function memberFamilies(sources: AdminSources, counters: CounterReader): readonly Family[] {
  const labelsOf = createLabelBook(2 * MAX_MEMBER_SLOTS, memberLabels);

  const perMember = (name: string, help: string, value: (member: Member) => number): Family => ({
    kind: 'gauge',
    name,
    help,
    labelNames: ['member'],
    collect(write) {
      for (const member of sources.topology().members) write(labelsOf(member.address).base, value(member));
    },
  });

  /** Counters of the data threads: members without a block of their own appear together as `other`. */
  const perBlock = (
    kind: 'counter' | 'gauge',
    name: string,
    help: string,
    writeBlock: (write: WriteSample, labels: MemberLabels, offset: number) => void,
    labelNames: readonly string[] = ['member'],
  ): Family => ({
    kind,
    name,
    help,
    labelNames,
    collect(write) {
      const members = sources.topology().members;
      for (const member of members) {
        if (hasOwnBlock(member)) writeBlock(write, labelsOf(member.address), memberOffset(member.slot));
      }
      if (members.some((member) => !hasOwnBlock(member))) {
        writeBlock(write, labelsOf('other'), memberOffset(-1));
      }
    },
  });

  const cellOf = (
    kind: 'counter' | 'gauge',
    name: string,
    help: string,
    cell: 'sessionsOpen' | 'load' | 'sessionsTotal' | 'commands' | 'vainRetries' | 'vainXRetries',
  ): Family =>
    perBlock(kind, name, help, (write, labels, offset) => {
      write(labels.base, counters.sum(offset + MEMBER[cell]));
    });

  return [
    {
      kind: 'gauge',
      name: 'fairlead_member_info',
      help: 'Always 1; the labels carry server_uuid and version, empty while unknown.',
      labelNames: ['member', 'id', 'version'],
      collect(write) {
        for (const member of sources.topology().members) {
          write({ member: member.address, id: member.id, version: member.version }, 1);
        }
      },
    },
    {
      kind: 'gauge',
      name: 'fairlead_member_role',
      help: '1 for the role the member has, 0 for the others.',
      labelNames: ['member', 'role'],
      collect(write) {
        for (const member of sources.topology().members) {
          labelsOf(member.address).roles.forEach((set, index) => {
            write(set, ROLES[index] === member.role ? 1 : 0);
          });
        }
      },
    },
    {
      kind: 'gauge',
      name: 'fairlead_member_state',
      help: '1 for the state the member is in, 0 for the others.',
      labelNames: ['member', 'state'],
      collect(write) {
        for (const member of sources.topology().members) {
          labelsOf(member.address).states.forEach((set, index) => {
            write(set, STATES[index] === member.state ? 1 : 0);
          });
        }
      },
    },
    perMember(
      'fairlead_member_accepts_writes',
      '1 while the member is a confirmed, writable primary of a group with quorum.',
      (member) => (member.acceptsWrites ? 1 : 0),
    ),
    perMember('fairlead_member_accepts_reads', '1 while reads may be sent to the member.', (member) =>
      member.acceptsReads ? 1 : 0,
    ),
    perMember('fairlead_member_resolved', "1 while the member's name resolves to an address.", (member) =>
      member.dial === null ? 0 : 1,
    ),
    perBlock(
      'gauge',
      'fairlead_member_quarantined_threads',
      'Data threads that have set the member aside after failures.',
      (write, labels, offset) => {
        write(labels.base, counters.sum(offset + MEMBER.isQuarantined));
      },
    ),
    cellOf(
      'gauge',
      'fairlead_member_vain_retries',
      'Attempts to reach the member again that have failed since it was set aside.',
      'vainRetries',
    ),
    cellOf('gauge', 'fairlead_member_sessions_open', 'Sessions open on the member now.', 'sessionsOpen'),
    cellOf('gauge', 'fairlead_member_load', 'Sessions open on the member and dials under way.', 'load'),
    cellOf('counter', 'fairlead_member_sessions_total', 'Sessions sent to the member.', 'sessionsTotal'),
    cellOf('counter', 'fairlead_member_commands_total', 'Commands sent to the member.', 'commands'),
    perBlock(
      'counter',
      'fairlead_dials_total',
      'Attempts of data threads to reach the member, by how they ended.',
      (write, labels, offset) => {
        labels.dials.forEach((set, index) => {
          write(set, counters.sum(offset + MEMBER.dials + index));
        });
      },
      ['member', 'result'],
    ),
    perBlock(
      'counter',
      'fairlead_x_dials_total',
      'Attempts of data threads to reach the X Protocol port of the member, by how they ended.',
      (write, labels, offset) => {
        labels.dials.forEach((set, index) => {
          write(set, counters.sum(offset + MEMBER.xDials + index));
        });
      },
      ['member', 'result'],
    ),
    perBlock(
      'gauge',
      'fairlead_member_x_quarantined_threads',
      'Data threads that have set the X Protocol port of the member aside after failures.',
      (write, labels, offset) => {
        write(labels.base, counters.sum(offset + MEMBER.isXQuarantined));
      },
    ),
    cellOf(
      'gauge',
      'fairlead_member_x_vain_retries',
      'Attempts to reach the X Protocol port of the member again that have failed since it was set aside.',
      'vainXRetries',
    ),
    ...probeFamilies(sources, (address) => labelsOf(address).base),
  ];
}

function probeFamilies(sources: AdminSources, labelsOf: (address: string) => Labels): readonly Family[] {
  const forEachProbed = (visit: (address: string, probe: ProbeFacts) => void): void => {
    const probes = sources.memberProbes?.();
    if (probes === undefined) return;
    for (const { address } of sources.topology().members) {
      const probe = probes.get(address);
      if (probe !== undefined) visit(address, probe);
    }
  };

  return [
    {
      kind: 'gauge',
      name: 'fairlead_member_probe_seconds',
      help: 'How long the last answered probe of the member took.',
      labelNames: ['member'],
      collect(write) {
        forEachProbed((address, probe) => {
          if (probe.lastProbeSeconds !== null) write(labelsOf(address), probe.lastProbeSeconds);
        });
      },
    },
    {
      kind: 'gauge',
      name: 'fairlead_member_lag_seconds',
      help: 'How far the member is behind its source, +Inf where replication stands still; only where the server tells.',
      labelNames: ['member'],
      collect(write) {
        forEachProbed((address, { lag }) => {
          if (lag != null && lag.seconds !== null) write(labelsOf(address), lag.seconds);
        });
      },
    },
    {
      kind: 'gauge',
      name: 'fairlead_member_queued_transactions',
      help: 'Transactions the member has received and not applied; only where the server tells.',
      labelNames: ['member'],
      collect(write) {
        forEachProbed((address, { lag }) => {
          if (lag != null && lag.transactions !== null) write(labelsOf(address), lag.transactions);
        });
      },
    },
    {
      kind: 'gauge',
      name: 'fairlead_member_last_probe_timestamp_seconds',
      help: 'When the member last answered a probe, in Unix time.',
      labelNames: ['member'],
      collect(write) {
        forEachProbed((address, probe) => {
          if (probe.lastAnswerAtMs !== null) write(labelsOf(address), probe.lastAnswerAtMs / 1000);
        });
      },
    },
    {
      kind: 'counter',
      name: 'fairlead_member_probe_errors_total',
      help: 'Probes of the member that failed, by kind of failure.',
      labelNames: ['member', 'kind'],
      collect(write) {
        forEachProbed((address, probe) => {
          for (const [kind, count] of probe.errorsByKind) write({ member: address, kind }, count);
        });
      },
    },
  ];
}

/** The last block is shared by all members that came too late for one. */
function hasOwnBlock(member: Member): boolean {
  return member.slot >= 0 && member.slot < MAX_MEMBER_SLOTS - 1;
}

type MemberLabels = {
  readonly base: Labels;
  readonly roles: readonly Labels[];
  readonly states: readonly Labels[];
  readonly dials: readonly Labels[];
};

function memberLabels(address: string): MemberLabels {
  const base = { member: address };
  return {
    base,
    roles: labelsForEach(base, 'role', ROLES),
    states: labelsForEach(base, 'state', STATES),
    dials: labelsForEach(base, 'result', DIAL_RESULTS),
  };
}

const ROLES: readonly MemberRole[] = ['PRIMARY', 'SECONDARY', 'UNKNOWN'];
const STATES: readonly MemberState[] = ['ONLINE', 'RECOVERING', 'OFFLINE', 'ERROR', 'UNREACHABLE', 'UNKNOWN'];
