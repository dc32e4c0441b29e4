import { Group, SimpleGrid, Stack, Text } from "@mantine/core";
import { useSubscription } from "urql";
import { graphql } from "../../__generated__";
import type { FunnelFragment } from "../../__generated__/graphql";
import { LiveState } from "../live/state";
import { count, rate } from "../ui/format";
import { Panel } from "../ui/states";

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
    uniqueComplaints
    deliveryRate
    openRate
    clickRate
    clickToOpenRate
    bounceRate
    unsubscribeRate
    complaintRate
  }
`);

const Now = graphql(`
  subscription CampaignNow($id: ID!) {
    campaignStats(campaignId: $id) { ...Funnel }
  }
`);

/** The funnel and the counters of a campaign, which follow the campaign while the page is open. */
export function Figures({ id, stats }: { id: string; stats: FunnelFragment }) {
  const [{ data }] = useSubscription({ query: Now, variables: { id } });
  const now = data?.campaignStats ?? stats;
  const steps = [
    { name: "Sends", value: now.sends, of: null },
    { name: "Delivered", value: now.delivered, of: `${rate(now.deliveryRate)} of sends` },
    { name: "Opened", value: now.uniqueOpens, of: `${rate(now.openRate)} of delivered` },
    {
      name: "Clicked",
      value: now.uniqueClicks,
      of: `${rate(now.clickRate)} of delivered, ${rate(now.clickToOpenRate)} of opened`,
    },
  ];
  const counters = [
    { name: "Queued", value: now.queued, of: null },
    { name: "With the provider", value: now.sent, of: null },
    { name: "Bounced", value: now.bounced, of: `${rate(now.bounceRate)} of sends` },
    { name: "Failed", value: now.failed, of: null },
    { name: "Opens in all", value: now.opens, of: null },
    { name: "Clicks in all", value: now.clicks, of: null },
    { name: "Unsubscribed", value: now.uniqueUnsubscribes, of: `${rate(now.unsubscribeRate)} of delivered` },
    { name: "Complained", value: now.uniqueComplaints, of: `${rate(now.complaintRate)} of delivered` },
  ];
  return (
    <SimpleGrid cols={{ base: 1, lg: 2 }}>
      <Panel title="Funnel" actions={<LiveState />}>
        <Stack p="md" pt="xs" gap="md">
          {steps.map(({ name, value, of }) => (
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
