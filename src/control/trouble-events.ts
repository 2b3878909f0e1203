/** What an operator reads of a member that does not answer, and of one that answers again. */
import type { EventLog } from '../shared/events.ts';
import type { Trouble } from './watch-options.ts';

/** @param user the account the member was asked with */
export function recordTrouble(
  events: EventLog,
  address: string,
  user: string,
  trouble: Trouble | null,
): void {
  if (trouble === null) {
    events.record('info', 'member_answers', `${address} answers again`, { member: address });
    return;
  }
  const fields = {
    member: address,
    failure: trouble.kind,
    error_number: trouble.errorNumber,
    detail: trouble.message,
  };
  const hint = troubleHint(trouble, user);
  const level = QUIET_KINDS.has(trouble.kind) ? 'info' : 'warn';
  events.record(level, 'member_does_not_answer', `${address}: ${hint}${trouble.message}`, fields);
}

/** What to do about it, where that is not plain from what the server said. */
function troubleHint(trouble: Trouble, user: string): string {
  switch (trouble.kind) {
    case 'access-denied':
      return `the monitoring account '${user}' may not log in: `;
    case 'missing-grant':
      return `GRANT SELECT ON performance_schema.replication_group_members TO '${user}' is missing: `;
    case 'router-exhausted':
      return 'this router is out of descriptors, ports or memory: ';
    case 'not-mysql':
      return 'does not speak MySQL: ';
    case 'tls-failed':
      return 'TLS for the monitoring account does not come about: ';
    case 'closed':
      return 'the control session ended: ';
    default:
      return '';
  }
}

/** Ended sessions are re-opened at once; what follows, if anything, is the news. */
const QUIET_KINDS: ReadonlySet<string> = new Set(['closed']);
