import type { CampaignStatus } from "../../__generated__/graphql";

interface Counts {
  sends: number;
  queued: number;
}

/** Whether some of a campaign's sends are still queued, so that its rates are preliminary. */
export const isUnderWay = (status: CampaignStatus, { queued }: Counts): boolean =>
  queued > 0 && (status === "SENDING" || status === "PAUSED");

/** The base of its rates: all sends or, while it is under way, the sends that are no longer queued. */
export const wholeOf = (status: CampaignStatus, stats: Counts): number =>
  isUnderWay(status, stats) ? stats.sends - stats.queued : stats.sends;
