import { Badge, Button, Group, Stack } from "@mantine/core";
import { Link, useNavigate } from "@tanstack/react-router";
import { graphql } from "../../__generated__";
import type { ProviderWebhookRowFragment } from "../../__generated__/graphql";
import { useSession } from "../session/session";
import { count, moment, NONE } from "../ui/format";
import { PageTitle } from "../ui/page-title";
import { useStableQuery } from "../ui/query";
import { Rows } from "../ui/rows";
import { Empty, Failed, Loading, Panel } from "../ui/states";
import type { Column } from "../ui/table";
import { PROVIDERS } from "./names";
import { useReloads } from "./reloads";

const ProviderWebhooks = graphql(`
  query ProviderWebhooks { providerWebhooks { ...ProviderWebhookRow } }
`);

export const ProviderWebhookRow = graphql(`
  fragment ProviderWebhookRow on ProviderWebhook {
    id
    name
    provider
    enabled
    stats { recorded unmatched refused lastAcceptedAt lastRefusedAt }
  }
`);

type Row = ProviderWebhookRowFragment;

/** Whether the last request was refused. */
const isRefused = ({ stats: { lastAcceptedAt, lastRefusedAt } }: Row) =>
  lastRefusedAt != null && (lastAcceptedAt == null || lastRefusedAt > lastAcceptedAt);

function State({ webhook }: { webhook: Row }) {
  const [color, text] = !webhook.enabled
    ? ["gray", "Disabled"]
    : isRefused(webhook)
      ? ["red", "Refusing"]
      : webhook.stats.lastAcceptedAt == null
        ? ["yellow", "No events yet"]
        : ["pine", "Receiving"];
  return (
    <Badge variant="dot" color={color} tt="none" fw={500}>
      {text}
    </Badge>
  );
}

const COLUMNS: Column<Row>[] = [
  {
    id: "name",
    title: "Name",
    cell: ({ id, name }) => (
      <Link to="/providers/$id" params={{ id }}>
        {name}
      </Link>
    ),
  },
  { id: "provider", title: "Provider", cell: ({ provider }) => PROVIDERS[provider].name },
  { id: "state", title: "State", cell: (webhook) => <State webhook={webhook} /> },
  {
    id: "accepted",
    title: "Last accepted",
    cell: ({ stats }) => (stats.lastAcceptedAt == null ? NONE : moment(stats.lastAcceptedAt)),
  },
  { id: "recorded", title: "Recorded", isNumber: true, cell: ({ stats }) => count(stats.recorded) },
  { id: "unmatched", title: "Waiting", isNumber: true, cell: ({ stats }) => count(stats.unmatched) },
  { id: "refused", title: "Refused", isNumber: true, cell: ({ stats }) => count(stats.refused) },
];

const NOTHING = {};

/** The webhooks of mail providers, and what they receive. */
export function Providers() {
  const navigate = useNavigate();
  const { viewer } = useSession();
  const { shown, error, reload } = useStableQuery({ query: ProviderWebhooks,
    variables: NOTHING,
    requestPolicy: "cache-and-network",
  });
  useReloads(reload);
  const webhooks = shown?.data.providerWebhooks;
  return (
    <Stack gap="lg">
      <Group justify="space-between">
        <PageTitle>Providers</PageTitle>
        {viewer.isAdmin && (
          <Button size="xs" onClick={() => void navigate({ to: "/providers/$id", params: { id: "new" } })}>
            New webhook
          </Button>
        )}
      </Group>
      <Panel title="Webhooks">
        {error && <Failed error={error} onRetry={reload} />}
        {webhooks === undefined ? (
          !error && <Loading />
        ) : webhooks.length === 0 ? (
          <Empty title="No webhooks yet">
            A webhook takes deliveries, bounces, opens and clicks directly from your mail provider.
          </Empty>
        ) : (
          <Rows label="Webhooks" columns={COLUMNS} rows={webhooks} />
        )}
      </Panel>
    </Stack>
  );
}
