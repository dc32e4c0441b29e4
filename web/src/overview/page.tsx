import { Group, NativeSelect, Stack } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { Suspense, useDeferredValue, useMemo } from "react";
import { graphql } from "../../__generated__";
import { INTERVALS, type OverviewSearch, SPANS } from "../search";
import { useSession } from "../session/session";
import { Deferred } from "../ui/deferred";
import { ownTimeZone } from "../ui/format";
import { useStableQuery } from "../ui/query";
import { lazily } from "../ui/lazily";
import { PageTitle } from "../ui/page-title";
import { Busy, Failed, Loading, Panel } from "../ui/states";
import { TimelineChoice } from "../ui/timeline-choice";
import { CampaignTable } from "./campaign-table";
import { Figures } from "./figures";

const TimelineChart = lazily(() => import("../ui/timeline-chart"), ({ default: chart }) => chart);

const Span = graphql(`
  query Span(
    $now: CampaignFilter!
    $before: CampaignFilter!
    $from: DateTime!
    $to: DateTime!
    $interval: TimeInterval!
    $zone: String!
  ) {
    now: stats(filter: $now) { ...Figures }
    before: stats(filter: $before) { ...Figures }
    timeline(interval: $interval, from: $from, to: $to, timezone: $zone) { ...Periods }
  }
`);

const route = getRouteApi("/");
/** The maximum number of days of an hourly timeline, since a timeline has at most 1,000 periods. */
const HOURLY = 30;
const DAY = 24 * 60 * 60 * 1000;

/** The figures of a time span compared to the previous one, and all campaigns. */
export function Overview() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { viewer } = useSession();
  const { days = 30, zone = ownTimeZone() } = search;
  const usual = days > 90 ? "WEEK" : "DAY";
  const interval = search.interval === "HOUR" && days > HOURLY ? usual : (search.interval ?? usual);
  const set = (change: Partial<OverviewSearch>) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });

  // the span ends when the page was opened, so that its query does not change
  const variables = useMemo(() => {
    const to = Date.now();
    const at = (ago: number) => new Date(to - ago * days * DAY).toISOString();
    return {
      now: { sentAt: { gte: at(1), lte: at(0) } },
      before: { sentAt: { gte: at(2), lt: at(1) } },
      from: at(1),
      to: at(0),
      interval,
      zone,
    };
  }, [days, interval, zone]);
  const { shown, error, isBusy, reload } = useStableQuery({ query: Span, variables });
  // the displayed span can still be the previously chosen one
  const shownDays = shown === null ? days : Math.round((Date.parse(shown.of.to) - Date.parse(shown.of.from)) / DAY);
  // deferred, so that the figures are drawn first
  const drawn = useDeferredValue(shown);

  return (
    <Stack gap="lg">
      <Group justify="space-between" align="end">
        <PageTitle>{viewer.organization.name}</PageTitle>
        <NativeSelect
          label="Campaigns sent in"
          value={days}
          onChange={({ currentTarget: { value } }) =>
            set({ days: SPANS.find((span) => String(span) === value), interval: undefined })
          }
          data={SPANS.map((span) => ({ value: String(span), label: `the last ${span} days` }))}
        />
      </Group>
      <Deferred>
        {error && <Failed error={error} onRetry={reload} />}
        {(shown || !error) && (
          <Busy isBusy={isBusy && shown !== null}>
            <Figures now={shown?.data.now} before={shown?.data.before} days={shownDays} />
          </Busy>
        )}
        <Panel
          title="Engagement over time"
          isBusy={isBusy && shown !== null}
          actions={
            <TimelineChoice
              interval={interval}
              zone={zone}
              intervals={INTERVALS.filter((known) => known !== "HOUR" || days <= HOURLY)}
              onChoose={set}
            />
          }
        >
          {drawn ? (
            <Suspense fallback={<Loading lines={8} />}>
              <TimelineChart
                periods={drawn.data.timeline}
                interval={drawn.of.interval}
                zone={drawn.of.zone}
                empty={`No events in the last ${shownDays} days`}
              />
            </Suspense>
          ) : (
            !error && <Loading lines={8} />
          )}
        </Panel>
        <Deferred>
          <CampaignTable search={search} onSearch={set} />
        </Deferred>
      </Deferred>
    </Stack>
  );
}
