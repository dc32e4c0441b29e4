import "uplot/dist/uPlot.min.css";

import { useComputedColorScheme, VisuallyHidden } from "@mantine/core";
import { useEffect, useMemo, useRef } from "react";
import UPlot from "uplot";
import { graphql } from "../../__generated__";
import type { PeriodsFragment, TimeInterval } from "../../__generated__/graphql";
import { Afterwards } from "./afterwards";
import { count, period } from "./format";
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
  { name: "bounces", label: "Bounces", light: "#b34700", dark: "#ffa15c" },
] as const;

const HEIGHT = 280;
const AXIS = {
  light: { stroke: "#56635f", grid: "#e3e9e7" },
  dark: { stroke: "#a8b4b0", grid: "#2e3734" },
};

interface Properties {
  periods: PeriodsFragment[];
  interval: TimeInterval;
  zone: string;
}

/** A time series as a chart, and as a table for whoever cannot see it. */
export default function TimelineChart(properties: Properties) {
  if (properties.periods.length === 0) return <Empty title="No events yet" />;
  return (
    <>
      <Chart {...properties} />
      <Afterwards>
        <VisuallyHidden>
          <Table {...properties} />
        </VisuallyHidden>
      </Afterwards>
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

function Chart({ periods, interval, zone }: Properties) {
  const scheme = useComputedColorScheme("light");
  const place = useRef<HTMLDivElement>(null);
  // the periods are evenly spaced, whatever the calendar makes of their lengths
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
        padding: [12, 24, 0, 0],
        scales: { x: { time: false } },
        legend: { markers: { fill: (_, index) => SERIES[index - 1]?.[scheme] ?? "transparent" } },
        axes: [
          { ...axis, grid: { show: false }, gap: 10, space: 90, incrs: [1, 2, 5, 10, 20, 50, 100], values: (_, at) => at.map(label) },
          { ...axis, grid: { stroke: AXIS[scheme].grid, width: 1 }, size: 56, values: (_, at) => at.map(count) },
        ],
        series: [
          // the legend has the sums while nothing is pointed at
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
