import { useComputedColorScheme, VisuallyHidden } from "@mantine/core";
import { useEffect, useMemo, useRef } from "react";
import UPlot from "uplot";
import { graphql } from "../../__generated__";
import type { PeriodsFragment, TimeInterval } from "../../__generated__/graphql";
import { Deferred } from "./deferred";
import { count, period, tick } from "./format";
import { Empty } from "./states";

export const PeriodsOf = graphql(`
  fragment Periods on EngagementBucket {
    start
    opens
    clicks
    machineOpens
    machineClicks
    unsubscribes
    complaints
    bounces
  }
`);

/** A line of the chart. */
interface Line {
  label: string;
  light: string;
  dark: string;
  /** Dashed, if it includes machines. */
  dash?: number[];
  of: (period: PeriodsFragment) => number;
}

const OPENS = { light: "#127065", dark: "#45c8b3" };
const CLICKS = { light: "#1c6fc4", dark: "#74b8f7" };
const OTHERS: Line[] = [
  { label: "Unsubscribes", light: "#8a6100", dark: "#f0c04f", of: ({ unsubscribes }) => unsubscribes },
  { label: "Complaints", light: "#c22525", dark: "#ff8f8f", of: ({ complaints }) => complaints },
  { label: "Bounce reports", light: "#b34700", dark: "#ffa15c", of: ({ bounces }) => bounces },
];
const ALL: Line[] = [
  { label: "Opens", ...OPENS, of: ({ opens }) => opens },
  { label: "Clicks", ...CLICKS, of: ({ clicks }) => clicks },
  ...OTHERS,
];
/** People first, and all beside them. */
const APART: Line[] = [
  { label: "Opens by people", ...OPENS, of: ({ opens, machineOpens }) => opens - machineOpens },
  { label: "Opens with machines", ...OPENS, dash: [4, 4], of: ({ opens }) => opens },
  { label: "Clicks by people", ...CLICKS, of: ({ clicks, machineClicks }) => clicks - machineClicks },
  { label: "Clicks with machines", ...CLICKS, dash: [4, 4], of: ({ clicks }) => clicks },
  ...OTHERS,
];

/** The lines of these periods: machines are apart where there are any. */
const linesOf = (periods: PeriodsFragment[]) =>
  periods.some(({ machineOpens, machineClicks }) => machineOpens + machineClicks > 0) ? APART : ALL;

const HEIGHT = 280;
/** The increments of an axis, all integers: periods and events are whole. */
const STEPS = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000].flatMap((unit) => [unit, 2 * unit, 5 * unit]);
const AXIS = {
  light: { stroke: "#56635f", grid: "#e3e9e7" },
  dark: { stroke: "#a8b4b0", grid: "#2e3734" },
};

interface Properties {
  periods: PeriodsFragment[];
  interval: TimeInterval;
  zone: string;
  /** The placeholder if there are no events. */
  empty: string;
}

/** A time series as a chart, and as a table for screen readers. */
export default function TimelineChart(properties: Properties) {
  // without events there is no scale to draw
  const { periods, empty } = properties;
  if (!periods.some((period) => ALL.some(({ of }) => of(period) > 0))) return <Empty title={empty} />;
  return (
    <>
      <Chart {...properties} />
      <Deferred>
        <VisuallyHidden>
          <Table {...properties} />
        </VisuallyHidden>
      </Deferred>
    </>
  );
}

function Table({ periods, interval, zone }: Properties) {
  const lines = linesOf(periods);
  return (
    <table>
      <caption>Events by period</caption>
      <thead>
        <tr>
          <th scope="col">Period</th>
          {lines.map(({ label }) => (
            <th key={label} scope="col">
              {label}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {periods.map((one) => (
          <tr key={one.start}>
            <th scope="row">{period(one.start, interval, zone)}</th>
            {lines.map(({ label, of }) => (
              <td key={label}>{count(of(one))}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The labels of an axis. Below a label is the day of an hour or the year of a day, where it changes. */
function ticks(periods: PeriodsFragment[], at: number[], interval: TimeInterval, zone: string): string[] {
  let before: string | undefined;
  return at.map((index) => {
    const start = Number.isInteger(index) ? periods[index]?.start : undefined;
    if (start === undefined) return "";
    const { text, within } = tick(start, interval, zone);
    const isNew = within !== before;
    before = within;
    return isNew ? `${text}\n${within}` : text;
  });
}

function Chart({ periods, interval, zone }: Properties) {
  const scheme = useComputedColorScheme("light");
  const place = useRef<HTMLDivElement>(null);
  // periods are evenly spaced, although their lengths in the calendar differ
  const lines = linesOf(periods);
  const data = useMemo(
    (): UPlot.AlignedData => [periods.map((_, index) => index), ...lines.map(({ of }) => periods.map(of))],
    [periods, lines],
  );
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const labels = periods.map(({ start }) => period(start, interval, zone));
    const label = (index: number) => (Number.isInteger(index) ? (labels[index] ?? "") : "");
    const last = periods.length - 1;
    const axis = {
      stroke: AXIS[scheme].stroke,
      font: "12px system-ui, sans-serif",
      ticks: { show: false },
    };
    const plot = new UPlot(
      {
        width: element.clientWidth,
        height: HEIGHT,
        padding: [12, 32, 0, 8],
        scales: {
          // half a period of padding on both sides, which centers a single period
          x: { time: false, range: [-0.5, last + 0.5] },
          // from 0, with room above the highest point
          y: { range: (_, __, most) => [0, Math.max(1, most) * 1.1] },
        },
        legend: { markers: { fill: (_, index) => lines[index - 1]?.[scheme] ?? "transparent" } },
        axes: [
          {
            ...axis,
            grid: { show: false },
            gap: 10,
            size: 56,
            space: 72,
            incrs: STEPS,
            values: (_, at) => ticks(periods, at, interval, zone),
          },
          { ...axis, grid: { stroke: AXIS[scheme].grid, width: 1 }, size: 56, incrs: STEPS, values: (_, at) => at.map(count) },
        ],
        series: [
          // without a cursor, the legend shows the sums
          { label: "Period", value: (_, index) => (index == null ? "all" : label(index)) },
          ...lines.map((line) => {
            const sum = periods.reduce((sum, one) => sum + line.of(one), 0);
            return {
              label: line.label,
              stroke: line[scheme],
              width: 2,
              dash: line.dash,
              points: { show: periods.length < 60, size: 5 },
              value: (_: UPlot, value: number | null) => count(value ?? sum),
            };
          }),
        ],
        cursor: { drag: { x: false, y: false } },
      },
      data,
      element,
    );
    const resized = new ResizeObserver(() =>
      plot.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    resized.observe(element);
    return () => {
      resized.disconnect();
      plot.destroy();
    };
  }, [data, lines, periods, interval, zone, scheme]);
  return <div ref={place} className="chart" aria-hidden />;
}
