import t from 'tap';
import { missingTransactions } from '../../routing/gtid-sets.ts';

const A = '3e11fa47-71ca-11e1-9e33-c80aa9429562';
const B = '4e11fa47-71ca-11e1-9e33-c80aa9429562';

const CASES: readonly (readonly [ahead: string, behind: string, missing: number | null])[] = [
  ['', '', 0],
  [`${A}:1-10`, `${A}:1-10`, 0],
  [`${A}:1-10`, `${A}:1-7`, 3],
  [`${A}:1-10`, '', 10],
  [`${A}:1-7`, `${A}:1-10`, 0],
  [`${A}:1-10,\n${B}:1-5`, `${A}:1-10`, 5],
  [`${A}:1-10`, `${A}:1-3:5-6:9`, 4],
  [`${A}:1-3:5:8-9`, `${A}:1-9`, 0],
  [`${A}:4`, `${A}:1-3`, 1],
  [`${A.toUpperCase()}:1-4`, `${A}:1-4`, 0],
  [`${A}:1-4:blue:1-9`, `${A}:1-4:blue:1-5`, 4],
  [`${A}:1-4:blue:1-9`, `${A}:1-9`, 9],
  ['0-1-100', '0-1-90', 10],
  ['0-2-100,1-1-7', '0-1-100', 7],
  ['0-1-90', '0-1-100', 0],
  ['0-1-100', `${A}:1-4`, null],
  [`${A}:1-4`, '0-1-100', null],
  ['what', `${A}:1-4`, null],
  [`${A}`, '', null],
];

for (const [ahead, behind, missing] of CASES) {
  t.equal(
    missingTransactions(ahead, behind),
    missing,
    `${ahead || 'nothing'} against ${behind || 'nothing'}`,
  );
}
