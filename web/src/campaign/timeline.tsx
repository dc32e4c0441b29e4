import { lazy, Suspense } from "react";
import { useQuery } from "urql";
import { graphql } from "../../__generated__";
import type { TimeInterval } from "../../__generated__/graphql";
import { Failed, Loading, Panel } from "../ui/states";
import { TimelineChoice } from "../ui/timeline-choice";

const TimelineChart = lazy(() => import("../ui/timeline-chart"));

const TimelineOf = graphql(`
  query TimelineOf($id: ID!, $interval: TimeInterval!, $zone: String!) {
    campaign(id: $id) {
      id
      timeline(interval: $interval, timezone: $zone) { ...Periods }
    }
  }
`);

/** The events of a campaign over time. */
export function Timeline({
  id,
  interval,
  zone,
  onChoose,
}: {
  id: string;
  interval: TimeInterval;
  zone: string;
  onChoose: (choice: { interval?: TimeInterval; zone?: string }) => void;
}) {
  const [{ data, error, fetching }, again] = useQuery({
    query: TimelineOf,
    variables: { id, interval, zone },
  });
  return (
    <Panel
      title="Timeline"
      actions={<TimelineChoice interval={interval} zone={zone} onChoose={onChoose} />}
    >
      {error && !fetching ? (
        <Failed error={error} onRetry={() => again({ requestPolicy: "network-only" })} />
      ) : data?.campaign ? (
        <Suspense fallback={<Loading lines={8} />}>
          <TimelineChart periods={data.campaign.timeline} interval={interval} zone={zone} />
        </Suspense>
      ) : (
        <Loading lines={8} />
      )}
    </Panel>
  );
}
