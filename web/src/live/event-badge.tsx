import { Badge } from "@mantine/core";
import type { EngagementEventType } from "../../__generated__/graphql";
import { eventName } from "../ui/format";
import { eventColors } from "../ui/theme";

/** The type of an event: a colored dot and its name. */
export function EventBadge({ type }: { type: EngagementEventType }) {
  return (
    <Badge variant="dot" color={eventColors[type]} tt="none" fw={500}>
      {eventName(type)}
    </Badge>
  );
}
