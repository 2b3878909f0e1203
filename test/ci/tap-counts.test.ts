import t from 'tap';
import { countTap } from './tap-counts.ts';

/** As tap writes it, shortened. */
const TAP = `TAP version 14
# Subtest: test/a.test.ts
    # Subtest: outer
        # Subtest: inner one
            ok 1 - a = b \\# no directive
            1..1
        ok 1 - inner one # time=7.93ms
        
        ok 2 - inner two # SKIP because so
        # Subtest: inner three
            not ok 1 - should be equal
              ---
              diff: |
                ok 9 - quoted
                # Subtest: quoted
              ...
            
            1..1
        not ok 3 - inner three # time=29.961ms
          ---
          source: x
          ...
        
        1..3
    not ok 1 - outer # time=51.52ms
    
    # Subtest: later
        ok 1 - x
        1..1
    not ok 2 - later # time=2ms # TODO not written
    1..2
not ok 1 - test/a.test.ts # time=73.064ms
# Subtest: test/b.test.ts
    # Subtest: fine
        ok 1 - x
        1..1
    ok 1 - fine # time=4.828ms
    
    not ok 2 - boom
      ---
      stack: |
        Timeout._onTimeout (test/b.test.ts:3:26)
      ...
    
    1..2
not ok 2 - test/b.test.ts # time=82.534ms
# Subtest: test/c.test.ts
    ok 1 - an assertion
    1..1
ok 3 - test/c.test.ts # time=1ms
`;

t.test(
  'a test is a block without blocks in it; what fails around one counts only for a reason of its own',
  async (t) => {
    const { passed, failed, skipped } = countTap(TAP);
    // "later" is to do, and passes all the same; a file without blocks is one test.
    t.equal(passed, 4);
    t.strictSame(
      failed.map(({ name }) => name),
      ['test/a.test.ts > outer > inner three', 'test/b.test.ts'],
    );
    t.match(failed[0]?.details.join('\n'), /not ok 1 - should be equal\n +diff: \|\n +ok 9 - quoted/);
    t.match(failed[1]?.details.join('\n'), /not ok 2 - boom\n +stack/);
    t.strictSame(skipped, [{ name: 'test/a.test.ts > outer > inner two', reason: 'because so' }]);
  },
);

t.test('a run that broke off has failed where it stood', async (t) => {
  const text = TAP.slice(0, TAP.indexOf('        ok 1 - inner one'));
  t.strictSame(countTap(text), {
    passed: 0,
    failed: [{ name: 'test/a.test.ts > outer > inner one', details: ['it did not end'] }],
    skipped: [],
  });
  t.strictSame(countTap(''), { passed: 0, failed: [], skipped: [] });
});
