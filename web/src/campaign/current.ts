import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { useSubscription } from "urql";
import { graphql } from "../../__generated__";
import type { CampaignViewFragment } from "../../__generated__/graphql";
import { liveConnection } from "../session/connection";
import { useStableQuery } from "../ui/query";

export const CampaignViewOf = graphql(`
  fragment CampaignView on Campaign {
    id
    name
    subject
    body
    channel
    status
    availableSteps
    scheduledAt
    sentAt
    createdAt
    metadata
    creator { fullName email }
    stats { ...Funnel }
  }
`);

const OneCampaign = graphql(`
  query OneCampaign($id: ID!) {
    campaign(id: $id) { ...CampaignView }
  }
`);

const Changes = graphql(`
  subscription CampaignChanges($id: ID!) {
    campaignChanges(id: $id) { ...CampaignView }
  }
`);

/** The minimum time between two reloads of the campaign's lists and charts, in milliseconds. */
const PACE = 2_000;

/** The current state of a campaign. */
export interface Current {
  /** Undefined while it loads, and null if it does not exist or was deleted. */
  campaign: CampaignViewFragment | null | undefined;
  error: ReturnType<typeof useStableQuery>["error"];
  reload: () => void;
  /** A number that grows when the figures have changed, at most every two seconds. */
  revision: number;
}

/**
 * Follows a campaign while the page is open. The subscription delivers changes in order, so they take
 * precedence over query results. Without a connection, the last query result is the latest state.
 */
export function useCampaign(id: string): Current {
  const { shown, error, reload } = useStableQuery({ query: OneCampaign, variables: { id }, subject: id });
  const [changes] = useSubscription({ query: Changes, variables: { id } });
  const connection = useSyncExternalStore(liveConnection.subscribe, liveConnection.get);
  const asked = shown?.data;
  const delivered = changes.data?.campaignChanges;
  const of = useRef<{ id: string; asked: typeof asked; delivered: typeof delivered; campaign: Current["campaign"] }>(null);
  if (of.current?.id !== id) of.current = { id, asked: undefined, delivered: undefined, campaign: undefined };
  const latest = of.current;
  if (asked !== latest.asked) {
    latest.asked = asked;
    if (connection !== "connected" || latest.delivered === undefined) latest.campaign = asked?.campaign ?? null;
  }
  if (delivered !== latest.delivered && delivered?.id === id) {
    latest.delivered = delivered;
    latest.campaign = delivered;
  }
  const isGone = changes.error?.graphQLErrors.some(({ extensions }) => extensions.code === "NOT_FOUND");
  const campaign = isGone ? null : latest.campaign;
  // the client adds __typename to query results, but not to subscription results
  const figures = JSON.stringify(campaign?.stats, (key, value: unknown) => (key === "__typename" ? undefined : value));
  return { campaign, error, reload, revision: usePaced(figures) };
}

/** Counts the changes of a value, at most one per [`PACE`]. */
function usePaced(value: string | undefined): number {
  const [revision, setRevision] = useState(0);
  const first = useRef(value);
  const raised = useRef(0);
  useEffect(() => {
    first.current ??= value;
    if (value === undefined || value === first.current) return;
    first.current = value;
    const timer = setTimeout(
      () => {
        raised.current = Date.now();
        setRevision((revision) => revision + 1);
      },
      Math.max(0, raised.current + PACE - Date.now()),
    );
    return () => clearTimeout(timer);
  }, [value]);
  return revision;
}
