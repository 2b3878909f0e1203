/** What Fairlead wants to reach, as ratios to the other proxies, so that it can be asked of any machine. */
import { type BenchResult, medianOf, ratioBetween } from './result.ts';

export type Aim = {
  readonly text: string;
  /** How the figure is to be read, e.g. "× HAProxy". */
  readonly unit: string;
  readonly limit: number;
  /** `undefined` where the run has not measured it. */
  readonly reached: number | undefined;
  readonly isMet: boolean | undefined;
};

export function judgeAims(result: BenchResult): readonly Aim[] {
  return AIMS.map(({ text, unit, limit, better, figure }) => {
    const reached = figure(result);
    if (reached === undefined) return { text, unit, limit, reached, isMet: undefined };
    return { text, unit, limit, reached, isMet: better === 'less' ? reached <= limit : reached >= limit };
  });
}

type AimDefinition = Pick<Aim, 'text' | 'unit' | 'limit'> & {
  readonly better: 'less' | 'more';
  readonly figure: (result: BenchResult) => number | undefined;
};

const AIMS: readonly AimDefinition[] = [
  {
    text: 'CPU per point select (text), as little as HAProxy',
    unit: '× HAProxy',
    limit: 1.1,
    better: 'less',
    figure: ratio('point-text', 'cpuUs', 'haproxy'),
  },
  {
    text: 'CPU per point select (prepared), as little as HAProxy',
    unit: '× HAProxy',
    limit: 1.1,
    better: 'less',
    figure: ratio('point-prepared', 'cpuUs', 'haproxy'),
  },
  {
    text: 'CPU per point select, about half of MySQL Router as bootstrapped',
    unit: '× Router bootstrapped',
    limit: 0.55,
    better: 'less',
    figure: ratio('point-text', 'cpuUs', 'bootstrapped'),
  },
  {
    text: 'CPU per point select from clients with TLS: passed through, where the bootstrapped Router ends it',
    unit: '× Router bootstrapped',
    limit: 0.55,
    better: 'less',
    figure: ratio('tls-query', 'cpuUs', 'bootstrapped'),
  },
  {
    text: 'CPU per MB of a large result (rows)',
    unit: '× HAProxy',
    limit: 1.2,
    better: 'less',
    figure: ratio('rows', 'cpuMsPerMb', 'haproxy'),
  },
  {
    text: 'CPU per MB of a large result (values of 1 MB)',
    unit: '× HAProxy',
    limit: 1.2,
    better: 'less',
    figure: ratio('value-1mb', 'cpuMsPerMb', 'haproxy'),
  },
  {
    text: 'Throughput of large results (rows)',
    unit: '× HAProxy',
    limit: 0.95,
    better: 'more',
    figure: ratio('rows', 'mbPerSecond', 'haproxy'),
  },
  {
    text: 'Throughput of large results (values of 1 MB)',
    unit: '× HAProxy',
    limit: 0.95,
    better: 'more',
    figure: ratio('value-1mb', 'mbPerSecond', 'haproxy'),
  },
  {
    text: 'CPU per connect, query, close',
    unit: '× Router PASSTHROUGH',
    limit: 1,
    better: 'less',
    figure: ratio('connect', 'cpuUs', 'passthrough'),
  },
  {
    text: 'CPU per WordPress page (a connect and 35 round trips)',
    unit: '× Router PASSTHROUGH',
    limit: 1,
    better: 'less',
    figure: ratio('wordpress-page', 'cpuUs', 'passthrough'),
  },
  {
    text: 'Memory of an idle session, at 5,000',
    unit: 'KiB',
    limit: 10,
    better: 'less',
    figure: (result) => figureOf(result, 'idle-5000', 'fairlead', 'rssKib'),
  },
  {
    text: 'Sessions at once (as many as the machine allows descriptors for)',
    unit: 'sessions',
    limit: 9_900,
    better: 'more',
    figure: (result) => figureOf(result, 'idle-10000', 'fairlead', 'sessions'),
  },
  {
    text: 'What tracking costs on point selects',
    unit: '× without tracking',
    limit: 1.05,
    better: 'less',
    figure: ratio('point-text', 'cpuUs', 'untracked'),
  },
  {
    text: 'Smallest statements through two data threads',
    unit: '× one thread',
    limit: 1,
    better: 'more',
    figure: (result) => {
      const oneToTwo = ratio('smallest', 'perSecond', 'two-threads')(result);
      return oneToTwo && 1 / oneToTwo;
    },
  },
];

function ratio(workload: string, measure: string, other: string): AimDefinition['figure'] {
  return (result) => {
    const measured = result.workloads.find(({ name }) => name === workload);
    return measured && ratioBetween(measured, measure, 'fairlead', other);
  };
}

function figureOf(result: BenchResult, name: string, target: string, measure: string): number | undefined {
  const workload = result.workloads.find((candidate) => candidate.name === name);
  return workload === undefined ? undefined : medianOf(workload, target, measure);
}
