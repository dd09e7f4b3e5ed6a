/** Bar charts as SVG files, drawn by echarts without a browser. */

import { BarChart } from 'echarts/charts';
import { GridComponent, TitleComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';

export interface Bar {
  readonly label: string;
  readonly value: number;
  /** What stands at the end of the bar. */
  readonly text: string;
  /** Drawn in the strong colour. */
  readonly ours: boolean;
}

const OURS = '#0b6e99';
const OTHERS = '#b4bcc4';
const INK = '#24292f';

/** Horizontal bars from zero, first one on top, as an SVG document on a white ground. */
export function barChart(title: string, subtitle: string, bars: readonly Bar[]): string {
  use([BarChart, GridComponent, TitleComponent, SVGRenderer]);
  const height = 110 + 34 * bars.length;
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: 800, height });
  try {
    chart.setOption({
      animation: false,
      backgroundColor: '#ffffff',
      textStyle: { fontFamily: 'sans-serif', color: INK },
      title: { text: title, subtext: subtitle, left: 16, top: 12, textStyle: { fontSize: 16, color: INK } },
      grid: { left: 170, right: 120, top: 76, bottom: 16 },
      xAxis: { type: 'value', min: 0, show: false },
      yAxis: {
        type: 'category',
        inverse: true,
        data: bars.map((bar) => bar.label),
        axisTick: { show: false },
        axisLine: { show: false },
        axisLabel: { fontSize: 13, color: INK },
      },
      series: [
        {
          type: 'bar',
          barWidth: 20,
          data: bars.map((bar) => ({
            value: bar.value,
            itemStyle: { color: bar.ours ? OURS : OTHERS },
            label: { show: true, position: 'right', formatter: bar.text, fontSize: 13, color: INK },
          })),
        },
      ],
    });
    return chart.renderToSVGString();
  } finally {
    // A chart that is not disposed of keeps the process alive.
    chart.dispose();
  }
}
