/** MariaDB Connector/J's tests: the JDBC driver of most Java applications on MariaDB, tried on MySQL too. */
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ACCOUNTS, type Sandbox } from '../../../src/sandbox/index.ts';
import { readRun, type Suite, type SuiteResults, type SuiteTarget } from './suite.ts';

export const CONNECTOR_J: Suite = {
  name: 'MariaDB Connector/J',
  prepare: async (server) => {
    await server.query(`CREATE DATABASE IF NOT EXISTS ${SCHEMA} DEFAULT CHARACTER SET utf8mb4`);
  },
  run: async (sandbox, target, only) => {
    const classes = await compiledTests(sandbox);
    const { root } = await sandbox.part('java');
    const jars = join(root, 'usr', 'share', 'java');
    const path = [classes, ...LIBRARIES.map((name) => join(jars, `${name}.jar`))].join(':');
    const names = (only ?? TESTS).map((name) => `org.mariadb.jdbc.${name}`);
    const args = ['-Xmx600m', `-DdbUrl=${address(target)}`, '-cp', path, 'RunTests', ...names];
    const options = { cwd: classes, timeoutMs: SUITE_TIMEOUT_MS };
    return readRun(sandbox.run('java', 'java', args, options), parseReport);
  },
};

function address({ host, port, tls, compress, certificateAuthority }: SuiteTarget): string {
  const { user, password } = ACCOUNTS.root;
  const options = new URLSearchParams({
    user,
    password,
    allowPublicKeyRetrieval: 'true',
    serverTimezone: 'UTC',
  });
  if (tls) {
    options.set('useSsl', 'true');
    options.set('disableSslHostnameVerification', 'true');
    options.set('serverSslCert', certificateAuthority);
  }
  if (compress === true) options.set('useCompression', 'true');
  return `jdbc:mariadb://${host}:${port}/${SCHEMA}?${decodeURIComponent(options.toString())}`;
}

/** A folder with the compiled tests, made once for a sandbox, and the files that they read. */
async function compiledTests(sandbox: Sandbox): Promise<string> {
  const target = join(sandbox.directory, 'connector-j');
  if (existsSync(join(target, 'RunTests.class'))) return target;
  const [{ root }, sources] = await Promise.all([sandbox.part('java'), sandbox.part('client-sources-more')]);
  const tests = join(sources.root, 'mariadb-connector-java', 'src', 'test');
  const files = (await readdir(join(tests, 'java'), { recursive: true }))
    .filter((name) => name.endsWith('.java'))
    .map((name) => join(tests, 'java', name));
  await mkdir(target, { recursive: true });
  await cp(join(tests, 'resources'), target, { recursive: true });
  const path = LIBRARIES.map((name) => join(root, 'usr', 'share', 'java', `${name}.jar`)).join(':');
  const runner = join(import.meta.dirname, 'RunTests.java');
  await sandbox.run('java', 'javac', ['-nowarn', '-d', target, '-cp', path, ...files, runner], {
    timeoutMs: 300_000,
  });
  return target;
}

function parseReport(text: string): SuiteResults {
  const results = new Map<string, string>();
  for (const [, verdict, test = '', message] of text.matchAll(/^result (\w+) (\S+) (.*)$/gm)) {
    if (test === IN_A_MILLISECOND) continue;
    results.set(test, verdict === 'failed' ? `failed: ${message}` : (verdict ?? ''));
  }
  return results;
}

/** Those about the wire. Others parse statements, or want several hosts and hours. */
const TESTS = [
  ...[
    'AllowMultiQueriesTest',
    'AttributeTest',
    'BigQueryTest',
    'BlobTest',
    'CallStatementTest',
    'CancelTest',
  ],
  ...[
    'ComMultiPrepareStatementTest',
    'ConnectionTest',
    'DatatypeTest',
    'DateTest',
    'DistributedTransactionTest',
  ],
  ...['DriverTest', 'ErrorMessageTest', 'ExecuteBatchTest', 'FetchSizeTest', 'GeneratedKeysTest'],
  ...['LocalInfileInputStreamTest', 'MariaDbPoolDataSourceTest', 'MariaXaResourceTest', 'MultiTest'],
  ...['PasswordEncodingTest', 'PreparedStatementTest', 'ResultSetTest', 'ServerPrepareStatementTest'],
  ...['Sha256AuthenticationTest', 'StateChangeTest', 'StatementTest', 'StoredProcedureTest', 'TimeoutTest'],
  ...['TransactionTest', 'UnicodeTest'],
];
/** Wants a login and two answers, each within a millisecond: on a busy machine it goes well or not, with and without a router. */
const IN_A_MILLISECOND = 'TimeoutTest.resultSetAfterSocketTimeoutTest';
const LIBRARIES = ['mariadb-java-client', 'junit4', 'hamcrest', 'jna', 'slf4j-api', 'slf4j-nop'];
/** Some tests name it themselves. */
const SCHEMA = 'testj';
const SUITE_TIMEOUT_MS = 900_000;
