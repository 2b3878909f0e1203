/**
 * What every server is asked about itself.
 */
import type { MemberAnswer } from '../../../routing/observations.ts';
import { ControlFailure } from '../control-failure.ts';
import type { ServerTraits } from './detection.ts';
import { isOn, numberIn, type Row, textIn, unexpected } from './rows.ts';

export type AnswerTimes = Pick<MemberAnswer, 'askedAtMs' | 'answeredAtMs'>;

export type SelfFacts = Pick<
  MemberAnswer,
  | 'serverUuid'
  | 'serverId'
  | 'instance'
  | 'version'
  | 'readOnly'
  | 'superReadOnly'
  | 'mysqlxPort'
  | 'mysqlxGreets'
>;

/**
 * Columns for a SELECT without a table. Where a server has no server_uuid, its own name, port and server_id stand for it:
 * all three survive a restart, and no two members of a working cluster have all of them alike.
 */
export function selfColumns(traits: ServerTraits): string {
  const uid = traits.hasServerUid ? ", '#', @@server_uid" : '';
  return [
    traits.hasServerUuid
      ? '@@server_uuid AS serverUuid'
      : `CONCAT(@@hostname, ':', @@port, '#', @@server_id${uid}) AS serverUuid`,
    '@@server_id AS serverId',
    "CONCAT(@@hostname, ':', @@port, '#', @@server_id) AS instance",
    '@@version AS version',
    '@@global.read_only AS readOnly',
    '@@global.innodb_read_only AS innodbReadOnly',
    `${traits.hasSuperReadOnly ? '@@global.super_read_only' : '0'} AS superReadOnly`,
    `${traits.hasMysqlxHello ? '@@global.mysqlx_enable_hello_notice' : '0'} AS mysqlxGreets`,
    `${traits.hasOfflineMode ? '@@global.offline_mode' : '0'} AS offlineMode`,
  ].join(', ');
}

/**
 * A monitoring account that may administer the server goes on being answered in offline mode, while clients are sent away.
 *
 * @throws ControlFailure when the server does not say who it is, or is in offline mode
 */
export function selfIn(row: Row | undefined, traits: ServerTraits): SelfFacts {
  if (row === undefined) throw unexpected('no row about the server itself');
  if (isOn(textIn(row, 'offlineMode'))) {
    throw new ControlFailure('offline-mode', 'offline_mode is ON: clients are sent away', { isFatal: false });
  }
  const serverUuid = textIn(row, 'serverUuid');
  if (serverUuid === '') throw unexpected('no identity');
  return {
    serverUuid,
    serverId: numberIn(row, 'serverId') ?? 0,
    instance: textIn(row, 'instance'),
    version: textIn(row, 'version'),
    readOnly: isOn(textIn(row, 'readOnly')) || isOn(textIn(row, 'innodbReadOnly')),
    superReadOnly: isOn(textIn(row, 'superReadOnly')),
    mysqlxPort: traits.mysqlxPort,
    mysqlxGreets: isOn(textIn(row, 'mysqlxGreets')),
  };
}
