/** The plot of docs/performance.md: processor time of every proxy under every kind of work, HAProxy's being 1. */
import { BarChart } from 'echarts/charts';
import { GridComponent, LegendComponent, MarkLineComponent, TitleComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { type BenchResult, ratioBetween, type WorkloadResult } from './result.ts';

/** An SVG file's text. */
export function renderPlot(result: BenchResult): string {
  use([BarChart, GridComponent, LegendComponent, MarkLineComponent, SVGRenderer, TitleComponent]);
  const workloads = result.workloads.filter((workload) => relativeCost(workload, BASE) !== undefined);
  const chart = init(null, null, {
    renderer: 'svg',
    ssr: true,
    width: WIDTH,
    height: MARGIN + workloads.length * ROW_HEIGHT,
  });
  const series = SERIES.filter(({ target }) => result.targets.some(({ name }) => name === target));
  chart.setOption({
    animation: false,
    backgroundColor: '#ffffff',
    color: series.map(({ color }) => color),
    title: {
      text: 'Processor time of the proxy; HAProxy = 1, less is better',
      left: 'center',
      textStyle: { fontSize: 15 },
    },
    legend: { top: 36, itemGap: 26, textStyle: { fontSize: 11 } },
    grid: { left: 210, right: 40, top: 76, bottom: 30 },
    xAxis: { type: 'value', min: 0 },
    yAxis: { type: 'category', inverse: true, data: workloads.map(({ title }) => title) },
    series: series.map(({ target, title }) => ({
      type: 'bar',
      name: title,
      data: workloads.map((workload) => relativeCost(workload, target) ?? null),
      label: {
        show: true,
        position: 'right',
        fontSize: 10,
        formatter: ({ value }: { value: unknown }) => (typeof value === 'number' ? value.toFixed(2) : ''),
      },
      ...(target === BASE ? { markLine: BASE_LINE } : {}),
    })),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

/** The cost is the workload's first measure, where that is processor time: memory needs a scale of its own. */
function relativeCost(workload: WorkloadResult, target: string): number | undefined {
  const [cost] = workload.measures;
  if (cost === undefined || !cost.name.startsWith('cpu')) return undefined;
  const ratio = ratioBetween(workload, cost.name, target, BASE);
  return ratio === undefined ? undefined : Number(ratio.toFixed(3));
}

const BASE = 'haproxy';
const WIDTH = 900;
const ROW_HEIGHT = 84;
const MARGIN = 106;
const BASE_LINE = {
  symbol: 'none',
  label: { show: false },
  lineStyle: { color: '#444444', type: 'dashed' },
  data: [{ xAxis: 1 }],
};
/** Colours that differ in brightness too. */
const SERIES = [
  { target: 'floor', title: 'C relay (the floor)', color: '#bbbbbb' },
  { target: 'haproxy', title: 'HAProxy TCP', color: '#777777' },
  { target: 'fairlead', title: 'Fairlead', color: '#0b6e4f' },
  { target: 'passthrough', title: 'Router PASSTHROUGH', color: '#f2b134' },
  { target: 'bootstrapped', title: 'Router as bootstrapped', color: '#c8553d' },
] as const;
