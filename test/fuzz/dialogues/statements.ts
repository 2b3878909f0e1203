/** Statements for dialogues. All tables are the player's own; a statement of both players must say the same to both. */
import type { Random } from '../random.ts';

export function statement(random: Random, server: 'mysql' | 'mariadb', isPipelined: boolean): string {
  const only = server === 'mysql' ? MYSQL : MARIADB;
  const dice = random.below(100);
  if (dice < 35) return pick(random, TRANSACTIONS);
  if (dice < 60) return pick(random, READS);
  if (dice < 75) return pick(random, WRITES);
  if (dice < 88) return pick(random, PROCEDURES);
  // What is pipelined behind it would be read as the file.
  if (dice < 91) return isPipelined ? 'SELECT 3' : pick(random, FILES);
  return pick(random, only);
}

function pick(random: Random, from: readonly string[]): string {
  return from[random.below(from.length)] ?? 'DO 1';
}

const TRANSACTIONS = [
  'BEGIN',
  'BEGIN',
  'START TRANSACTION READ ONLY',
  'START TRANSACTION WITH CONSISTENT SNAPSHOT',
  'COMMIT',
  'COMMIT',
  'ROLLBACK',
  'COMMIT AND CHAIN',
  'ROLLBACK AND CHAIN',
  'COMMIT RELEASE',
  'SET autocommit = 0',
  'SET autocommit = 1',
  'SET autocommit = 1',
  'SAVEPOINT s',
  'ROLLBACK TO s',
  'RELEASE SAVEPOINT s',
  "XA START 'fz_own'",
  "XA END 'fz_own'",
  "XA PREPARE 'fz_own'",
  "XA COMMIT 'fz_own'",
  "XA ROLLBACK 'fz_own'",
  "XA COMMIT 'fz_own' ONE PHASE",
  'SET TRANSACTION READ ONLY',
  'SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE',
  'SET completion_type = CHAIN',
  'SET completion_type = NO_CHAIN',
  'LOCK TABLES t WRITE',
  'UNLOCK TABLES',
  'CREATE TEMPORARY TABLE tmp (a INT)',
  'DROP TEMPORARY TABLE tmp',
  'TRUNCATE small',
  'ALTER TABLE small COMMENT = "x"',
  'ANALYZE TABLE small',
  'FLUSH STATUS',
];
const READS = [
  'SELECT 1',
  'SELECT id, v FROM t',
  'SELECT id, v FROM t WHERE id = 1 FOR UPDATE',
  'SELECT * FROM large',
  'SELECT * FROM large LIMIT 300',
  'SELECT 1 WHERE FALSE',
  'SELECT v FROM absent',
  'SELEC',
  '',
  '/* nothing */',
  'SELECT NULL, NULL',
  "SELECT REPEAT('x', 250)",
  "SELECT REPEAT('x', 251)",
  "SELECT REPEAT('x', 70000), REPEAT('y', 100000)",
  'SELECT id, EXP(id) FROM large',
  'SELECT id, IF(id < 500, 1, (SELECT id FROM t)) FROM large',
  'SELECT * FROM large a, t b ORDER BY 1, 3 LIMIT 2000',
  "SELECT 'a' INTO @v",
  'SELECT @v',
  'SELECT id INTO @v FROM t',
  'SHOW WARNINGS',
  'SHOW TABLES',
  'EXPLAIN SELECT 1',
  'DO 1',
  'DO 1, SLEEP(0.001)',
  'SET NAMES latin1',
  'SET NAMES utf8mb4',
  "SET SESSION session_track_transaction_info = 'CHARACTERISTICS'",
  'SET SESSION session_track_state_change = ON, session_track_schema = ON',
  "SET SESSION session_track_system_variables = 'autocommit,sql_mode,time_zone'",
  'HANDLER t OPEN',
  'HANDLER t READ FIRST LIMIT 3',
  'HANDLER t CLOSE',
  'USE fz_own',
  'USE nowhere',
  "PREPARE s FROM 'SELECT id FROM t WHERE id < ?'",
  'SET @a = 3',
  'EXECUTE s USING @a',
  "PREPARE s FROM 'CALL p_two()'",
  'EXECUTE s',
  'DEALLOCATE PREPARE s',
  "SELECT 1 INTO OUTFILE '/nowhere/at/all'",
  'HELP "nothing"',
  'CHECK TABLE t',
  'KILL QUERY CONNECTION_ID()',
  'SET SESSION sql_select_limit = 2',
  'SET SESSION sql_select_limit = DEFAULT',
];
const WRITES = [
  "INSERT INTO t VALUES (7, 'x')",
  "INSERT INTO t VALUES (7, 'x')",
  "INSERT IGNORE INTO t VALUES (7, 'x'), (8, 'y')",
  "REPLACE INTO t VALUES (9, 'z')",
  "UPDATE t SET v = 'w' WHERE id < 3",
  "UPDATE t SET v = 'w'",
  'DELETE FROM t WHERE id > 6',
  'INSERT INTO small SELECT id FROM large',
  'INSERT INTO small (absent) VALUES (1)',
  'INSERT INTO my VALUES (1)',
  'INSERT INTO trg VALUES (1)',
  'SELECT f_err(1)',
  'SELECT f_write(5)',
];
const PROCEDURES = [
  'CALL p_two()',
  'CALL p_out(1, @b)',
  'CALL p_mid_error()',
  'CALL p_open()',
  'CALL p_open_error()',
  'CALL p_commit()',
  'CALL p_commit_error()',
  'CALL p_many(20)',
  'CALL p_handled()',
  'CALL p_nothing()',
  'CALL p_absent()',
  'CALL p_autocommit_error()',
];
const FILES = [
  "LOAD DATA LOCAL INFILE 'fz.csv' INTO TABLE loaded FIELDS TERMINATED BY ','",
  "LOAD DATA LOCAL INFILE 'fz.csv' INTO TABLE absent FIELDS TERMINATED BY ','",
  "LOAD DATA LOCAL INFILE 'fz.csv' REPLACE INTO TABLE keyed FIELDS TERMINATED BY ','",
  "SELECT 1; LOAD DATA LOCAL INFILE 'fz.csv' INTO TABLE loaded FIELDS TERMINATED BY ','; SELECT 2",
];
const MYSQL = [
  'TABLE t',
  'VALUES ROW(1), ROW(2)',
  'SET SESSION resultset_metadata = NONE',
  'SET SESSION resultset_metadata = FULL',
  'EXPLAIN ANALYZE FORMAT=JSON SELECT 1 FROM absent',
  'RESET PERSIST absent',
  'SELECT /*+ SET_VAR(autocommit = 0) */ 1',
  'SET SESSION transaction_read_only = 1',
  'SET SESSION transaction_read_only = 0',
  'SHOW BINARY LOG STATUS FROM',
  "SELECT mysql_query_attribute_string('k')",
];
const MARIADB = [
  'INSERT INTO t VALUES (10, 1) RETURNING id, v',
  'DELETE FROM t WHERE id > 9 RETURNING id',
  "EXECUTE IMMEDIATE 'SELECT 1'",
  "EXECUTE IMMEDIATE 'CALL p_two()'",
  'BEGIN NOT ATOMIC SELECT 1; SELECT 2; END',
  "BEGIN NOT ATOMIC START TRANSACTION; INSERT INTO t VALUES (11, ''); SIGNAL SQLSTATE '45000'; END",
  'SET STATEMENT max_statement_time = 1 FOR SELECT 1',
  'SET STATEMENT autocommit = 0 FOR SELECT * FROM t',
  'ALTER TABLE large FORCE',
  'ANALYZE SELECT * FROM t',
  'SHOW EXPLAIN FOR 1',
  'CHECK TABLE large EXTENDED',
  'OPTIMIZE TABLE small',
  "SELECT JSON_EXTRACT('{\"a\": 1}', '$.a')",
  'KILL USER absent',
];

/** Everything the statements need, in the schema in use. */
export const SCHEMA = [
  'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(200))',
  "INSERT INTO t VALUES (1, 'a'), (2, ''), (3, NULL), (4, 'd')",
  'CREATE TABLE small (a INT)',
  'CREATE TABLE my (a INT) ENGINE = MyISAM',
  'CREATE TABLE trg (a INT)',
  'CREATE TABLE loaded (a INT, b INT)',
  'CREATE TABLE keyed (a INT, b INT, PRIMARY KEY (a, b))',
  'CREATE TABLE large (id INT PRIMARY KEY, v VARCHAR(200))',
  `INSERT INTO large WITH RECURSIVE n AS (SELECT 1 AS id UNION ALL SELECT id + 1 FROM n WHERE id < 999)
     SELECT id, REPEAT('x', id MOD 200) FROM n`,
  "CREATE TRIGGER trg_bi BEFORE INSERT ON trg FOR EACH ROW SIGNAL SQLSTATE '45000'",
  'CREATE PROCEDURE p_two() BEGIN SELECT id FROM t WHERE id < 4; SELECT 1 WHERE FALSE; END',
  'CREATE PROCEDURE p_out(IN a INT, OUT b INT) BEGIN SET b = a + 1; SELECT a; END',
  'CREATE PROCEDURE p_inout(INOUT a INT) BEGIN SET a = 3; END',
  'CREATE PROCEDURE p_mid_error() BEGIN SELECT id FROM t; SELECT EXP(id) FROM large; SELECT 3; END',
  "CREATE PROCEDURE p_open() BEGIN START TRANSACTION; REPLACE INTO t VALUES (50, ''); END",
  `CREATE PROCEDURE p_open_error()
     BEGIN START TRANSACTION; REPLACE INTO t VALUES (50, ''); SIGNAL SQLSTATE '45000'; END`,
  'CREATE PROCEDURE p_commit() BEGIN SELECT 1; COMMIT; END',
  "CREATE PROCEDURE p_commit_error() BEGIN SELECT 1; COMMIT; SIGNAL SQLSTATE '45000'; END",
  "CREATE PROCEDURE p_autocommit_error() BEGIN SET autocommit = 0; REPLACE INTO t VALUES (51, ''); SIGNAL SQLSTATE '45000'; END",
  'CREATE PROCEDURE p_many(n INT) BEGIN WHILE n > 0 DO SELECT n, v FROM t; SET n = n - 1; END WHILE; END',
  `CREATE PROCEDURE p_handled()
     BEGIN DECLARE CONTINUE HANDLER FOR SQLEXCEPTION SELECT 'handled'; SELECT v FROM absent; SELECT 1; END`,
  'CREATE PROCEDURE p_nothing() BEGIN END',
  "CREATE FUNCTION f_err(a INT) RETURNS INT DETERMINISTIC BEGIN SIGNAL SQLSTATE '45000'; RETURN a; END",
  'CREATE FUNCTION f_write(a INT) RETURNS INT DETERMINISTIC MODIFIES SQL DATA BEGIN REPLACE INTO t VALUES (60, a); RETURN a; END',
];
