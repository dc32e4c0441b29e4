import { Group, SimpleGrid, Stack, Text } from "@mantine/core";
import { graphql } from "../../__generated__";
import type { CampaignViewFragment } from "../../__generated__/graphql";
import { LiveState } from "../live/state";
import { count, rate } from "../ui/format";
import { Panel } from "../ui/states";
import { isUnderWay, wholeOf } from "./under-way";

export const Funnel = graphql(`
  fragment Funnel on CampaignStats {
    sends
    queued
    sent
    delivered
    bounced
    failed
    opens
    clicks
    uniqueOpens
    uniqueClicks
    uniqueUnsubscribes
    unsubscribes
    complaints
    bounces
    uniqueComplaints
    machineOpens
    machineClicks
    uniqueHumanOpens
    uniqueHumanClicks
  }
`);

/** The funnel and the counters of a campaign: those of people first, and all, machines included, beside them. */
export function Figures({ campaign: { status, stats: now } }: { campaign: CampaignViewFragment }) {
  const ofDelivered = (part: number) => `${rate({ part, whole: now.delivered })} of delivered`;
  const soFar = isUnderWay(status, now);
  const whole = wholeOf(status, now);
  const ofSends = (part: number) => `${rate({ part, whole })} of sends${soFar ? " so far" : ""}`;
  const steps = [
    { name: "Sends", value: now.sends, of: null, all: undefined },
    { name: "Delivered", value: now.delivered, of: ofSends(now.delivered), all: undefined },
    {
      name: "Opened by people",
      value: now.uniqueHumanOpens,
      of: ofDelivered(now.uniqueHumanOpens),
      all: now.uniqueOpens,
    },
    {
      name: "Clicked by people",
      value: now.uniqueHumanClicks,
      of: `${ofDelivered(now.uniqueHumanClicks)}, ${rate({ part: now.uniqueHumanClicks, whole: now.uniqueHumanOpens })} of opened`,
      all: now.uniqueClicks,
    },
  ];
  const counters = [
    { name: "Queued", value: now.queued, of: null },
    { name: "Accepted", value: now.sent, of: null },
    { name: "Bounced", value: now.bounced, of: ofSends(now.bounced) },
    { name: "Failed", value: now.failed, of: null },
    { name: "Bounce reports", value: now.bounces, of: "Events, hard and soft" },
    { name: "Opens by people", value: now.opens - now.machineOpens, of: `${count(now.opens)} with machines` },
    { name: "Clicks by people", value: now.clicks - now.machineClicks, of: `${count(now.clicks)} with machines` },
    { name: "Unsubscribed", value: now.uniqueUnsubscribes, of: ofDelivered(now.uniqueUnsubscribes) },
    { name: "Complained", value: now.uniqueComplaints, of: ofDelivered(now.uniqueComplaints) },
  ];
  return (
    <SimpleGrid cols={{ base: 1, lg: 2 }}>
      <Panel title="Funnel" actions={<LiveState />}>
        <Stack p="md" pt="xs" gap="md">
          {steps.map(({ name, value, of, all }) => (
            <div key={name}>
              <Group justify="space-between" gap="xs" wrap="nowrap">
                <Text fw={500}>{name}</Text>
                <Text size="sm" c="dimmed" span>
                  {of}
                </Text>
                <Text fw={600} className="number" span>
                  {count(value)}
                </Text>
              </Group>
              <div className="bar" aria-hidden>
                <div style={{ width: `${now.sends === 0 ? 0 : (100 * value) / now.sends}%` }} />
              </div>
              {all !== undefined && (
                <Text size="xs" c="dimmed" ta="right">
                  {`${count(all)} with machines, ${ofDelivered(all)}`}
                </Text>
              )}
            </div>
          ))}
        </Stack>
      </Panel>
      <Panel title="Counters">
        <SimpleGrid cols={{ base: 2, sm: 4 }} p="md" pt="xs" spacing="md">
          {counters.map(({ name, value, of }) => (
            <div key={name}>
              <Text size="sm" c="dimmed">
                {name}
              </Text>
              <div className="figure">{count(value)}</div>
              {of && (
                <Text size="xs" c="dimmed">
                  {of}
                </Text>
              )}
            </div>
          ))}
        </SimpleGrid>
      </Panel>
    </SimpleGrid>
  );
}
