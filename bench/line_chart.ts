/** Line charts as SVG files: one or more panels under each other, which share their series and legend. */
import { LineChart } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';

export interface Axis {
  readonly name: string;
  readonly log?: boolean;
}

export interface Line {
  readonly label: string;
  /** Ascending in x. With a logarithmic axis all are above 0. */
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Drawn in strong colours. */
  readonly ours: boolean;
  /** Of something that was reckoned, not measured. */
  readonly dashed?: boolean;
  /** The x of a point that stands out. */
  readonly mark?: number;
}

export interface Panel {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
}

const OURS = ['#0b6e99', '#d9480f', '#2b8a3e', '#862e9c'];
const OTHERS = ['#57606a', '#b08d57', '#9a86b5', '#8fae9b'];
const INK = '#24292f';
const GRID = '#e5e8eb';
const [WIDTH, PANEL, GAP] = [860, 270, 96];
/** The legend: its first row, and columns of one width, because text is not measured here. */
const [LEGEND_TOP, LEGEND_ROW, LEGEND_COLUMN, LEGEND_COLUMNS] = [62, 22, 260, 3];

const short = (value: number): string => {
  if (value >= 1e6) return `${value / 1e6} M`;
  return value >= 1000 ? value.toLocaleString('en') : `${Number(value.toPrecision(3))}`;
};

/** Each label has one colour and one symbol in all panels. */
function colours(panels: readonly Panel[]): Map<string, string> {
  const lines = panels.flatMap((panel) => panel.lines);
  const named = new Map<string, string>();
  const next = { ours: 0, others: 0 };
  for (const { label, ours } of lines) {
    if (named.has(label)) continue;
    const list = ours ? OURS : OTHERS;
    named.set(label, list[(ours ? next.ours++ : next.others++) % list.length]!);
  }
  return named;
}

/** One component for each entry: where an entry ends is not known, so that they would run into each other in one. */
function legend(labels: readonly string[]) {
  return labels.map((label, i) => ({
    data: [label],
    left: 72 + LEGEND_COLUMN * (i % LEGEND_COLUMNS),
    top: LEGEND_TOP + LEGEND_ROW * Math.floor(i / LEGEND_COLUMNS),
    textStyle: { color: INK, fontSize: 12 },
  }));
}

function axis({ name, log = false }: Axis, at: number, vertical: boolean) {
  return {
    type: log ? ('log' as const) : ('value' as const),
    gridIndex: at,
    name,
    nameLocation: 'middle' as const,
    nameGap: vertical ? 58 : 30,
    nameTextStyle: { color: INK, fontSize: 12 },
    // Room above the highest point for what stands at it.
    ...(log ? {} : { min: 0, boundaryGap: [0, vertical ? '12%' : 0] as [number, number | string] }),
    axisLine: { show: true, lineStyle: { color: INK } },
    axisLabel: { color: INK, fontSize: 12, formatter: short },
    splitLine: { show: true, lineStyle: { color: GRID } },
  };
}

/** Log axes end at whole powers of ten; a line that ends between two would else be cut. */
function bounds(values: readonly number[]): { min: number; max: number } {
  const logs = values.map((value) => Math.log10(value));
  return { min: 10 ** Math.floor(Math.min(...logs) + 1e-9), max: 10 ** Math.ceil(Math.max(...logs) - 1e-9) };
}

function axes(panels: readonly Panel[], which: 'x' | 'y') {
  return panels.map((panel, at) => {
    const place = which === 'x' ? 0 : 1;
    const values = panel.lines.flatMap((line) => line.points.map((point) => point[place]));
    const limits = panel[which].log && values.length > 0 ? bounds(values) : {};
    return { ...axis(panel[which], at, which === 'y'), ...limits };
  });
}

function series(panels: readonly Panel[], named: ReadonlyMap<string, string>) {
  return panels.flatMap((panel, at) =>
    panel.lines.map((line, nth) => ({
      type: 'line' as const,
      name: line.label,
      xAxisIndex: at,
      yAxisIndex: at,
      symbol: line.ours ? 'circle' : 'emptyCircle',
      lineStyle: { width: line.ours ? 2.5 : 1.5, type: line.dashed ? ('dashed' as const) : ('solid' as const) },
      itemStyle: { color: named.get(line.label)! },
      data: line.points.map(([x, y]) => ({
        value: [x, y],
        symbolSize: x === line.mark ? 15 : 6,
        label: {
          show: x === line.mark,
          formatter: short(x),
          // Two lines often have one knee: their numbers must not lie on each other.
          position: nth === 0 ? ('top' as const) : ('bottom' as const),
          color: named.get(line.label)!,
          fontWeight: 'bold' as const,
        },
      })),
    })),
  );
}

/** The panels from top to bottom, as an SVG document on a white ground. */
export function lineChart(title: string, subtitle: string, panels: readonly Panel[]): string {
  use([LineChart, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);
  const named = colours(panels);
  const first = LEGEND_TOP + LEGEND_ROW * Math.ceil(named.size / LEGEND_COLUMNS) + 48;
  const height = first + panels.length * (PANEL + GAP) - 30;
  const top = (at: number) => first + at * (PANEL + GAP);
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  try {
    chart.setOption({
      animation: false,
      backgroundColor: '#ffffff',
      textStyle: { fontFamily: 'sans-serif', color: INK },
      title: [
        { text: title, subtext: subtitle, left: 16, top: 12, textStyle: { fontSize: 16, color: INK } },
        ...panels.map((panel, at) => ({
          text: panel.title,
          left: 78,
          top: top(at) - 30,
          textStyle: { fontSize: 13, color: INK },
        })),
      ],
      legend: legend([...named.keys()]),
      grid: panels.map((_, at) => ({ left: 84, right: 36, top: top(at), height: PANEL })),
      xAxis: axes(panels, 'x'),
      yAxis: axes(panels, 'y'),
      series: series(panels, named),
    });
    return chart.renderToSVGString();
  } finally {
    // A chart that is not disposed of keeps the process alive.
    chart.dispose();
  }
}
