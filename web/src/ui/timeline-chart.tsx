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
    unsubscribes
    complaints
    bounces
  }
`);

const SERIES = [
  { name: "opens", label: "Opens", light: "#127065", dark: "#45c8b3" },
  { name: "clicks", label: "Clicks", light: "#1c6fc4", dark: "#74b8f7" },
  { name: "unsubscribes", label: "Unsubscribes", light: "#8a6100", dark: "#f0c04f" },
  { name: "complaints", label: "Complaints", light: "#c22525", dark: "#ff8f8f" },
  { name: "bounces", label: "Bounce reports", light: "#b34700", dark: "#ffa15c" },
] as const;

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
  if (!periods.some((of) => SERIES.some(({ name }) => of[name] > 0))) return <Empty title={empty} />;
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
  return (
    <table>
      <caption>Events by period</caption>
      <thead>
        <tr>
          <th scope="col">Period</th>
          {SERIES.map(({ name, label }) => (
            <th key={name} scope="col">
              {label}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {periods.map((of) => (
          <tr key={of.start}>
            <th scope="row">{period(of.start, interval, zone)}</th>
            {SERIES.map(({ name }) => (
              <td key={name}>{count(of[name])}</td>
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
  const data = useMemo(
    (): UPlot.AlignedData => [
      periods.map((_, index) => index),
      ...SERIES.map(({ name }) => periods.map((of) => of[name])),
    ],
    [periods],
  );
  useEffect(() => {
    const element = place.current;
    if (element === null) return;
    const labels = periods.map(({ start }) => period(start, interval, zone));
    const label = (index: number) => (Number.isInteger(index) ? (labels[index] ?? "") : "");
    const last = periods.length - 1;
    const sums = Object.fromEntries(
      SERIES.map(({ name }) => [name, periods.reduce((sum, of) => sum + of[name], 0)]),
    ) as Record<(typeof SERIES)[number]["name"], number>;
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
        legend: { markers: { fill: (_, index) => SERIES[index - 1]?.[scheme] ?? "transparent" } },
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
          ...SERIES.map((series) => ({
            label: series.label,
            stroke: series[scheme],
            width: 2,
            points: { show: periods.length < 60, size: 5 },
            value: (_: UPlot, value: number | null) => count(value ?? sums[series.name]),
          })),
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
  }, [data, periods, interval, zone, scheme]);
  return <div ref={place} className="chart" aria-hidden />;
}
