import { Group, NativeSelect, Stack } from "@mantine/core";
import { getRouteApi } from "@tanstack/react-router";
import { lazy, Suspense, useDeferredValue, useMemo } from "react";
import { useQuery } from "urql";
import { graphql } from "../../__generated__";
import { INTERVALS, type OverviewSearch, SPANS } from "../search";
import { useSession } from "../session/session";
import { Afterwards } from "../ui/afterwards";
import { ownTimeZone } from "../ui/format";
import { PageTitle } from "../ui/page-title";
import { Failed, Loading, Panel } from "../ui/states";
import { TimelineChoice } from "../ui/timeline-choice";
import { CampaignTable } from "./campaign-table";
import { Figures } from "./figures";

const TimelineChart = lazy(() => import("../ui/timeline-chart"));

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
/** Days up to which a timeline may be drawn by the hour; it has 1,000 periods at most. */
const HOURLY = 30;
const DAY = 24 * 60 * 60 * 1000;

/** The figures of a span beside those of the one before, and all campaigns. */
export function Overview() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const { viewer } = useSession();
  const { days = 30, zone = ownTimeZone() } = search;
  const usual = days > 90 ? "WEEK" : "DAY";
  const interval = search.interval === "HOUR" && days > HOURLY ? usual : (search.interval ?? usual);
  const set = (change: Partial<OverviewSearch>) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });

  // the span ends where it did when the page was opened, so that its query stays the same
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
  const [{ data, error, fetching }, again] = useQuery({ query: Span, variables });
  // the figures first
  const timeline = useDeferredValue(data?.timeline);

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
      <Afterwards>
        {error && !fetching ? (
          <Failed error={error} onRetry={() => again({ requestPolicy: "network-only" })} />
        ) : (
          <Figures now={data?.now} before={data?.before} days={days} />
        )}
        <Panel
          title="Engagement over time"
          actions={
            <TimelineChoice
              interval={interval}
              zone={zone}
              intervals={INTERVALS.filter((known) => known !== "HOUR" || days <= HOURLY)}
              onChoose={set}
            />
          }
        >
          {timeline ? (
            <Suspense fallback={<Loading lines={8} />}>
              <TimelineChart periods={timeline} interval={interval} zone={zone} />
            </Suspense>
          ) : (
            !error && <Loading lines={8} />
          )}
        </Panel>
        <Afterwards>
          <CampaignTable search={search} onSearch={set} />
        </Afterwards>
      </Afterwards>
    </Stack>
  );
}
