import { Badge, Group, Text } from "@mantine/core";
import { graphql } from "../../__generated__";
import type { BadgeFragment, EngagementEventType } from "../../__generated__/graphql";
import { eventName } from "../ui/format";
import { eventColors } from "../ui/theme";

export const BadgeOf = graphql(`
  fragment Badge on EngagementEvent { type machine machineReasons }
`);

/** Names of the reasons that the service gives. */
const REASONS: Record<string, string> = {
  "apple-mpp": "Apple Mail Privacy",
  scanner: "scanner",
  burst: "burst of clicks",
};

/** The type of an event, and why it counts as a machine's. */
export function EventBadge({ event: { type, machine, machineReasons } }: { event: BadgeFragment }) {
  const reasons = machineReasons.map((reason) => REASONS[reason] ?? reason);
  return (
    <Group gap="xs" wrap="nowrap">
      <TypeBadge type={type} />
      {machine && (
        <Text size="xs" c="dimmed" truncate maw={220}>
          {["Machine", ...reasons].join(" · ")}
        </Text>
      )}
    </Group>
  );
}

/** The type of an event: a colored dot and its name. */
function TypeBadge({ type }: { type: EngagementEventType }) {
  return (
    <Badge variant="dot" color={eventColors[type]} tt="none" fw={500}>
      {eventName(type)}
    </Badge>
  );
}
