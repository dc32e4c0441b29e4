import { Badge } from "@mantine/core";
import type { CampaignStatus, SendStatus } from "../../__generated__/graphql";
import { word } from "./format";

const COLORS: Record<CampaignStatus | SendStatus, string> = {
  DRAFT: "gray",
  SCHEDULED: "blue",
  SENDING: "grape",
  SENT: "pine",
  PAUSED: "yellow",
  CANCELED: "gray",
  QUEUED: "gray",
  DELIVERED: "pine",
  BOUNCED: "orange",
  FAILED: "red",
};

/** The status of a campaign or a send: a colored dot and its name. */
export function StatusBadge({ status }: { status: CampaignStatus | SendStatus }) {
  return (
    <Badge variant="dot" color={COLORS[status]} tt="none" fw={500}>
      {word(status)}
    </Badge>
  );
}
