import type { CampaignStatus } from "../../__generated__/graphql";

interface Counts {
  sends: number;
  queued: number;
}

/** Whether some of a campaign's sends are still to be sent: its rates are rates so far. */
export const isUnderWay = (status: CampaignStatus, { queued }: Counts): boolean =>
  queued > 0 && (status === "SENDING" || status === "PAUSED");

/** The sends that its rates are of: while it is under way, those that are no longer queued. */
export const wholeOf = (status: CampaignStatus, stats: Counts): number =>
  isUnderWay(status, stats) ? stats.sends - stats.queued : stats.sends;
