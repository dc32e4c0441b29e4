import { useEffect, useRef, useState, useSyncExternalStore } from "react";
import { useSubscription } from "urql";
import { graphql } from "../../__generated__";
import type { CampaignViewFragment } from "../../__generated__/graphql";
import { liveConnection } from "../session/connection";
import { useKept } from "../ui/kept";

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

/** How often what belongs to the campaign is loaded again, at most. */
const PACE = 2_000;

/** A campaign as it is now. */
export interface Current {
  /** Undefined while it is loaded, and null if there is none, or none any more. */
  campaign: CampaignViewFragment | null | undefined;
  error: ReturnType<typeof useKept>["error"];
  reload: () => void;
  /** Changes, every two seconds at most, when the figures have changed. */
  revision: number;
}

/**
 * A campaign, which is followed while the page is open. What the subscription delivers is in one order,
 * so it is taken over what is asked; while there is no connection, what was asked last is the latest.
 */
export function useCampaign(id: string): Current {
  const { shown, error, reload } = useKept({ query: OneCampaign, variables: { id }, subject: id });
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
  // the client names the types of what is asked, and not of what is delivered
  const figures = JSON.stringify(campaign?.stats, (key, value: unknown) => (key === "__typename" ? undefined : value));
  return { campaign, error, reload, revision: usePaced(figures) };
}

/** The number of times that a value has changed, which itself changes after a pause. */
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
