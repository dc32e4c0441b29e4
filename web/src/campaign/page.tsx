import { Anchor, Group, SimpleGrid, Stack, Text } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useQuery } from "urql";
import { graphql } from "../../__generated__";
import type { TimeInterval } from "../../__generated__/graphql";
import { moment, ownTimeZone, word } from "../ui/format";
import { PageTitle } from "../ui/page-title";
import { Empty, Failed, Loading, Missing, Panel } from "../ui/states";
import { StatusBadge } from "../ui/status-badge";
import { Audience } from "./audience";
import { Figures } from "./figures";
import { Lifecycle } from "./lifecycle";
import { Links } from "./links";
import { List } from "./list";
import { Timeline } from "./timeline";

const OneCampaign = graphql(`
  query OneCampaign($id: ID!) {
    campaign(id: $id) {
      id
      name
      subject
      body
      channel
      status
      scheduledAt
      sentAt
      createdAt
      metadata
      creator { fullName email }
      stats { ...Funnel }
      links(first: 20) { ...Link }
    }
  }
`);

const route = getRouteApi("/campaigns/$id");

/** A campaign: what became of it, who did what, and what can be done with it. */
export function CampaignPage() {
  const { id } = route.useParams();
  const { interval = "DAY", zone = ownTimeZone(), who = "all" } = route.useSearch();
  const navigate = route.useNavigate();
  const [{ data, error, fetching }, again] = useQuery({ query: OneCampaign, variables: { id } });
  const reload = () => again({ requestPolicy: "network-only" });

  if (error && !fetching && !data) return <Failed error={error} onRetry={reload} />;
  if (!data) return <Loading lines={12} />;
  const { campaign } = data;
  if (!campaign) return <Missing what="campaign" />;
  const set = (change: { interval?: TimeInterval; zone?: string; who?: typeof who }) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  return (
    <Stack gap="lg">
      <Stack gap={4}>
        <Anchor component={Link} to="/" size="sm">
          All campaigns
        </Anchor>
        <Group gap="sm">
          <PageTitle>{campaign.name}</PageTitle>
          <StatusBadge status={campaign.status} />
        </Group>
        <Text c="dimmed" size="sm">
          {about(campaign)}
        </Text>
      </Stack>
      <Lifecycle campaign={campaign} onChange={reload} />
      <Figures id={campaign.id} stats={campaign.stats} />
      <Timeline id={campaign.id} interval={interval} zone={zone} onChoose={set} />
      <Audience id={campaign.id} who={who} onWho={(who) => set({ who })} onChange={reload} />
      <SimpleGrid cols={{ base: 1, lg: 2 }}>
        <Links links={campaign.links} />
        <Panel title="Message">
          {campaign.subject || campaign.body ? (
            <Stack p="md" pt={0} gap="xs">
              {campaign.subject && <Text fw={600}>{campaign.subject}</Text>}
              {campaign.body && <Text style={{ whiteSpace: "pre-wrap" }}>{campaign.body}</Text>}
            </Stack>
          ) : (
            <Empty title="No message yet" />
          )}
        </Panel>
      </SimpleGrid>
      <List campaign={campaign} onChange={reload} />
    </Stack>
  );
}

interface Facts {
  channel: string;
  status: string;
  scheduledAt?: string | null;
  sentAt?: string | null;
  createdAt: string;
  creator?: { fullName?: string | null; email: string } | null;
}

function about({ channel, status, scheduledAt, sentAt, createdAt, creator }: Facts): string {
  const by = creator ? ` by ${creator.fullName ?? creator.email}` : "";
  const parts = [word(channel), `created ${moment(createdAt)}${by}`];
  if (status === "SCHEDULED" && scheduledAt) parts.push(`starts ${moment(scheduledAt)}`);
  if (sentAt) parts.push(`sent ${moment(sentAt)}`);
  return parts.join(" · ");
}
