import t from 'tap';
import { matches, type Scope, UNKNOWN } from '../../../routing/guidelines/evaluate.ts';
import { type Expression, ExpressionError } from '../../../routing/guidelines/expression.ts';
import { usesLogin } from '../../../routing/guidelines/expression-parts.ts';
import { EvaluationError } from '../../../routing/guidelines/functions.ts';
import { parseExpression } from '../../../routing/guidelines/parser.ts';
import { Random } from '../../fuzz/random.ts';

const VALUES: Readonly<Record<string, string | number | boolean>> = {
  'server.memberRole': 'PRIMARY',
  'server.clusterRole': 'UNDEFINED',
  'server.port': 3306,
  'server.version': 90_700,
  'server.isClusterInvalidated': false,
  'session.user': 'Reporting',
  'session.schema': '',
  'session.sourceIP': '10.1.2.3',
  'session.targetPort': 6446,
  'session.randomValue': 0.25,
  'router.port.rw': 6446,
};
const ENTRIES: Readonly<Record<string, string>> = {
  'session.connectAttrs.program_name': 'mysqldump',
  'session.connectAttrs._os': 'Linux',
  'server.tags.size': '5',
  'server.tags.fast': 'true',
};
const SCOPE: Scope = {
  variable: (name) => VALUES[name] ?? null,
  entry: (scope, key) => ENTRIES[`${scope}.${key}`] ?? null,
};
const BEFORE_LOGIN: Scope = {
  variable: (name) => (name === 'session.user' || name === 'session.schema' ? UNKNOWN : SCOPE.variable(name)),
  entry: (scope, key) => (scope === 'session.connectAttrs' ? UNKNOWN : SCOPE.entry(scope, key)),
};

t.test('an expression has the value that MySQL Router gives it', async (t) => {
  const table: readonly (readonly [text: string, isMatch: boolean])[] = [
    ['$.server.memberRole = PRIMARY', true],
    ['$.server.memberRole = primary', true],
    ['$.server.memberRole <> SECONDARY', true],
    ['$.server.memberRole IN (SECONDARY, READ_REPLICA)', false],
    ['NOT $.server.clusterRole', true],
    ['$.session.targetPort = $.router.port.rw', true],
    ['$.session.targetPort IN (6447, 6446)', true],
    ['$.session.targetPort NOT IN (6447, 6446)', false],
    ['$.session.user = "reporting"', true],
    ["$.session.user = 'it\\'s'", false],
    ['$.session.user = reporting', true],
    ["$.session.user LIKE 'rep%'", true],
    ["$.session.user LIKE '%ING'", true],
    ["$.session.user LIKE 'r_porting'", true],
    ["$.session.user LIKE 'r_p%n_'", true],
    ["$.session.user LIKE 'rep'", false],
    ["$.session.user NOT LIKE '%x%'", true],
    ["'50%' LIKE '50\\\\%'", true],
    ["'500' LIKE '50\\\\%'", false],
    ["REGEXP_LIKE($.session.user, 'rep.*')", true],
    ["REGEXP_LIKE($.session.user, 'rep')", false],
    ['$.session.schema', false],
    ["$.session.schema = ''", true],
    ['$.session.connectAttrs.program_name = mysqldump', true],
    ["$.session.connectAttrs._os = 'linux'", true],
    ["$.session.connectAttrs.nothing = 'linux'", false],
    ["$.session.connectAttrs.nothing <> 'linux'", true],
    ['$.session.connectAttrs.nothing = NULL', true],
    ["$.session.connectAttrs.nothing LIKE '%'", false],
    ["NOT $.session.connectAttrs.nothing LIKE '%'", true],
    ['$.server.tags.size = 5', true],
    ['$.server.tags.size = "5"', true],
    ['$.server.tags.fast = TRUE', true],
    ['NUMBER($.server.tags.size) >= 5', true],
    ['$.server.version >= 80400 AND $.server.version < 90000', false],
    ['$.server.port - 3300 = 2 * 3', true],
    ['-$.server.port < -3305.5', true],
    ['10 % 4 = 2 AND SQRT(16) = 4 AND 7 / 2 = 3.5', true],
    ['$.session.randomValue < 0.5', true],
    ["NETWORK($.session.sourceIP, 16) = '10.1.0.0'", true],
    ["NETWORK('10.1.2.255', 27) = '10.1.2.224'", true],
    ['IS_IPV4($.session.sourceIP) AND NOT IS_IPV6($.session.sourceIP)', true],
    ["IS_IPV6('fe80::1%eth0') AND IS_IPV6('::ffff:10.0.0.1') AND NOT IS_IPV6('1::2::3')", true],
    ["NOT IS_IPV4('10.0.0.256') AND NOT IS_IPV4('10.0.0')", true],
    ["STARTSWITH('Abc', 'aB') AND ENDSWITH('Abc', 'BC') AND CONTAINS('Abc', 'b')", true],
    ["SUBSTRING_INDEX('a.b.c', '.', 2) = 'a.b' AND SUBSTRING_INDEX('a.b.c', '.', -1) = 'c'", true],
    ["CONCAT('a', 1, PRIMARY) = 'a1primary'", true],
    ['TRUE OR FALSE AND FALSE', true],
    ['NOT FALSE AND TRUE', true],
    ['(TRUE OR FALSE) AND FALSE', false],
    ["'b' > 'A' AND 2 <= 2 AND 3 >= 4", false],
  ];
  for (const [text, isMatch] of table) t.equal(matches(parse(text), SCOPE), isMatch, text);
});

t.test('what a client says of itself is unknown before its login, and so is what hangs on it', async (t) => {
  const table: readonly (readonly [text: string, value: boolean | typeof UNKNOWN])[] = [
    ["$.session.user = 'a'", UNKNOWN],
    ["NOT $.session.user = 'a'", UNKNOWN],
    ["$.session.user = 'a' AND $.session.targetPort = 6447", false],
    ["$.session.user = 'a' AND $.session.targetPort = 6446", UNKNOWN],
    ["$.session.connectAttrs.x LIKE 'a%' OR $.session.targetPort = 6446", true],
    ["$.session.schema IN ('a', 'b')", UNKNOWN],
    ["CONCAT($.session.schema, 'x') = 'ax'", UNKNOWN],
  ];
  for (const [text, value] of table) {
    t.equal(matches(parse(text), BEFORE_LOGIN), value, text);
    t.ok(usesLogin(parse(text)), `${text} uses the login`);
  }
  t.notOk(usesLogin(parse("NETWORK($.session.sourceIP, 8) = '10.0.0.0'")));
});

t.test('what cannot be evaluated is an error of its own', async (t) => {
  for (const text of ['NUMBER($.session.user) = 5', "NETWORK('::1', 8) = '10.0.0.0'"])
    t.throws(() => matches(parse(text), SCOPE), EvaluationError, text);
});

t.test('a long text is never matched with a regular expression', async (t) => {
  const scope: Scope = { variable: () => 'a'.repeat(10_000), entry: () => null };
  t.equal(matches(parse("REGEXP_LIKE($.session.user, '(a|a)*b?')"), scope), false);
});

t.test('what is wrong with an expression is said with its place', async (t) => {
  const table: readonly (readonly [text: string, message: RegExp, start: number | null])[] = [
    ['', /ends too early/, null],
    ['$.server.role = PRIMARY', /\$\.server\.role is not a known variable/, 0],
    ['$server.port = 1', /begins with "\$\."/, 0],
    ["$.session.user = 'a", /does not end/, 17],
    ['$.session.user = 5', /compares a STRING with a NUMBER/, 0],
    ['$.server.memberRole = INVALID', /compares a ROLE with a STRING/, 0],
    ['$.server.memberRole = REPLICA', /never REPLICA/, 0],
    ['$.server.clusterRole IN (PRIMARY, SECONDARY)', /never SECONDARY/, 34],
    ['$.server.memberRole < PRIMARY', /does not compare ROLEs/, 0],
    ["1 + 'a' = 2", /\+ needs a NUMBER/, 4],
    ["-'a' = 2", /- needs a NUMBER/, 1],
    ["$.session.targetPort IN (1, 'a')", /IN compares a NUMBER with a STRING/, 28],
    ['$.session.user LIKE $.session.schema', /needs a text in quotes/, 20],
    ["5 LIKE '5'", /needs a STRING on its left/, 0],
    ["RESOLVE_V4('db') = '10.0.0.1'", /RESOLVE_V4 is not supported/, 0],
    ["$.sql.queryTags.x = 'a'", /statements/, 0],
    ['REGEXP_LIKE($.session.user, $.session.schema)', /text in quotes/, 28],
    ["REGEXP_LIKE($.session.user, '(')", /no regular expression/, 28],
    ["NETWORK($.session.sourceIP, 33) = 'x'", /from 1 to 32/, 0],
    ['NUMBER() = 1', /takes 1 parameter, and here are 0/, 0],
    ['NUMBER(1) = 1', /takes a STRING as parameter 1/, 7],
    ['FOO(1) = 1', /FOO is not a known function/, 0],
    ['$.server.tags.x = {"a": 1}', /JSON are not supported/, 18],
    ['1 = 1 = 1', /unexpected "="/, 6],
    ['(1 = 1', /ends where \) was expected/, null],
    ['1 = 1)', /unexpected "\)"/, 5],
    ["$.session.user NOT 'a'", /NOT stands before IN or LIKE/, 15],
    ['1 = 1 AND', /ends too early/, null],
    ['1 = 1 # 2', /unexpected character "#"/, 6],
    [`${'('.repeat(60)}1 = 1${')'.repeat(60)}`, /nested more than/, 50],
  ];
  for (const [text, message, start] of table) {
    try {
      parseExpression(text);
      t.fail(`${text} was accepted`);
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      t.match(error.message, message, text);
      t.equal(error.place?.start ?? null, start, `place in ${text}`);
    }
  }
});

t.test('whatever is written, an expression is read or refused with a place', async (t) => {
  const random = new Random(7);
  const pieces = [
    ...['$.session.user', '$.server.port', '$.router.tags.x', "'a%'", '5', 'NULL', 'TRUE', 'PRIMARY', 'word'],
    ...['(', ')', ',', '=', '<>', '<', 'AND', 'OR', 'NOT', 'IN', 'LIKE', '+', '-', '*', '$', '"', '\\', '#'],
    ...['REGEXP_LIKE(', 'CONCAT(', 'NETWORK('],
  ];
  let read = 0;
  for (let round = 0; round < 5000; round++) {
    const text = Array.from({ length: 1 + random.below(9) }, () => pieces[random.below(pieces.length)]).join(
      ' ',
    );
    try {
      const expression = parseExpression(text);
      matches(expression, SCOPE);
      read++;
    } catch (error) {
      if (error instanceof ExpressionError || error instanceof EvaluationError) continue;
      t.fail(`${text}: ${error}`);
    }
  }
  t.ok(read > 100, `${read} of them meant something`);
});

function parse(text: string): Expression {
  return parseExpression(text);
}
