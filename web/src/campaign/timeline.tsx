import { Suspense } from "react";
import { graphql } from "../../__generated__";
import type { TimeInterval } from "../../__generated__/graphql";
import { useStableQuery, useRevision } from "../ui/query";
import { lazily } from "../ui/lazily";
import { Failed, Loading, Panel } from "../ui/states";
import { TimelineChoice } from "../ui/timeline-choice";

const TimelineChart = lazily(() => import("../ui/timeline-chart"), ({ default: chart }) => chart);

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
  revision,
  onChoose,
}: {
  id: string;
  interval: TimeInterval;
  zone: string;
  revision: number;
  onChoose: (choice: { interval?: TimeInterval; zone?: string }) => void;
}) {
  const { shown, error, isBusy, reload } = useStableQuery({
    query: TimelineOf,
    variables: { id, interval, zone },
    subject: id,
  });
  useRevision(revision, reload);
  const isOther = shown !== null && (shown.of.interval !== interval || shown.of.zone !== zone);
  return (
    <Panel
      title="Timeline"
      // reloads because of new events are not indicated
      isBusy={isBusy && isOther}
      actions={<TimelineChoice interval={interval} zone={zone} onChoose={onChoose} />}
    >
      {error && <Failed error={error} onRetry={reload} />}
      {shown?.data.campaign ? (
        <Suspense fallback={<Loading lines={8} />}>
          <TimelineChart
            periods={shown.data.campaign.timeline}
            interval={shown.of.interval}
            zone={shown.of.zone}
            empty="No events yet"
          />
        </Suspense>
      ) : (
        !error && <Loading lines={8} />
      )}
    </Panel>
  );
}
