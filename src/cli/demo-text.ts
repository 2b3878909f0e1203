/** What the demo tells a person. */
import { ACCOUNTS, type Group, type Server } from '../sandbox/index.ts';
import type { DemoPorts } from './demo-router.ts';
import type { DemoTools } from './demo-tools.ts';

export type DemoFacts = {
  readonly group: Group;
  readonly primary: Server;
  readonly ports: DemoPorts;
  readonly tools: DemoTools;
  readonly configFile: string;
};

export function describeDemo({ group, primary, ports, tools, configFile }: DemoFacts): string {
  const { app, root } = ACCOUNTS;
  const members = group.members.map(
    (member) => `${member.address} (${member === primary ? 'primary, ' : ''}pid ${member.pid})`,
  );
  return `
Ready. The router is in front of ${members.length === 1 ? 'one member' : `${members.length} members`}:

  writes, to the primary         127.0.0.1:${ports.rw}
  reads, over the secondaries    127.0.0.1:${ports.ro}
  status page                    http://127.0.0.1:${ports.admin}/
  accounts, user / password      ${app.user} / ${app.password} (database ${APP_DATABASE}), ${root.user} / ${root.password}
  members                        ${members.join(`\n${' '.repeat(33)}`)}
  the router's configuration     ${configFile}

To try in another terminal, each line can be pasted as it is:

1. Write through port ${ports.rw}.

  ${tools.mysql} -P ${ports.rw} -e "CREATE DATABASE IF NOT EXISTS ${APP_DATABASE}; CREATE TABLE IF NOT EXISTS ${NOTES} (id INT AUTO_INCREMENT PRIMARY KEY, at TIME(3) DEFAULT (CURRENT_TIME(3)), via INT); INSERT INTO ${NOTES} (via) VALUES (@@port); SELECT * FROM ${NOTES}"

2. Read through port ${ports.ro}: each connection goes to the next secondary.

  for i in 1 2 3 4 5 6; do ${tools.mysql} -P ${ports.ro} -Ne "SELECT @@port, COUNT(*) FROM ${NOTES}"; done

3. Keep writing, once a second. Let it run in a terminal of its own.

  while sleep 1; do ${tools.mysql} -P ${ports.rw} -Ne "INSERT INTO ${NOTES} (via) VALUES (@@port); SELECT * FROM ${NOTES} ORDER BY id DESC LIMIT 1"; done

4. Kill the primary, and watch the writer and the status page. Group Replication takes 5 to 10 seconds to choose another
   primary. Meanwhile a new connection waits instead of failing.

  kill -9 ${primary.pid}

5. Ask the router. The demo starts a killed member again after ${RESTART_AFTER_S} s, and says its new pid here.

  ${tools.fairlead} status

From here on this is the router's log. Ctrl-C ends everything.

`;
}

export function describeUnavailable(reason: string): string {
  return `the demo needs a real MySQL, and this machine cannot have one: ${reason}
It is fetched from Debian's archive with apt-get, into the folder .cache, without installing anything. Where that does
not work, name an installed server of version 8.0.22 or later: FAIRLEAD_MYSQLD=/path/to/mysqld`;
}

/** How long a killed member stays away, so that the group without it can be seen. */
export const RESTART_AFTER_S = 15;
/** The application's account may do everything in it. */
const APP_DATABASE = 'app';
const NOTES = `${APP_DATABASE}.notes`;
