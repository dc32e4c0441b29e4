import { Anchor, Group, SimpleGrid, Stack, Text } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import type { TimeInterval } from "../../__generated__/graphql";
import { moment, ownTimeZone, word } from "../ui/format";
import { PageTitle } from "../ui/page-title";
import { Empty, Failed, Loading, Missing, Panel } from "../ui/states";
import { StatusBadge } from "../ui/status-badge";
import { Audience } from "./audience";
import { useCampaign } from "./current";
import { Figures } from "./figures";
import { Lifecycle } from "./lifecycle";
import { Links } from "./links";
import { List } from "./list";
import { Timeline } from "./timeline";

const route = getRouteApi("/campaigns/$id");

/** The page of a campaign: its actions, figures, timeline, recipients and list. */
export function CampaignPage() {
  const { id } = route.useParams();
  const { interval = "DAY", zone = ownTimeZone(), who = "all" } = route.useSearch();
  const navigate = route.useNavigate();
  const { campaign, error, reload, revision } = useCampaign(id);

  if (campaign === undefined) return error ? <Failed error={error} onRetry={reload} /> : <Loading lines={12} />;
  if (campaign === null) return <Missing what="campaign" />;
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
      {error && <Failed error={error} onRetry={reload} />}
      <Lifecycle campaign={campaign} onChange={reload} />
      <Figures campaign={campaign} />
      <Timeline id={campaign.id} interval={interval} zone={zone} revision={revision} onChoose={set} />
      <Audience
        id={campaign.id}
        stats={campaign.stats}
        who={who}
        revision={revision}
        onWho={(who) => set({ who })}
        onChange={reload}
      />
      <SimpleGrid cols={{ base: 1, lg: 2 }}>
        <Links id={campaign.id} revision={revision} />
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
      <List key={campaign.id} campaign={campaign} onChange={reload} />
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
