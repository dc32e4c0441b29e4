import { Alert, Button, Group, NativeSelect, Stack, Text } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { useQuery } from "urql";
import { graphql } from "../../__generated__";
import type { EngagementEventFilter, LiveEventFragment } from "../../__generated__/graphql";
import { EVENT_TYPES } from "../search";
import { count, fullName, NONE, second, word } from "../ui/format";
import { PageTitle } from "../ui/page-title";
import { type Column, Rows } from "../ui/rows";
import { Empty, Panel } from "../ui/states";
import { EventBadge } from "./event-badge";
import { KEPT, useFeed } from "./feed";
import { LiveState } from "./state";

const FeedCampaigns = graphql(`
  query FeedCampaigns {
    campaigns(first: 500, orderBy: [{ field: SENT_AT, direction: DESC }]) { nodes { id name } }
  }
`);

const COLUMNS: Column<LiveEventFragment>[] = [
  { id: "type", title: "Event", cell: ({ type }) => <EventBadge type={type} /> },
  { id: "when", title: "When", cell: ({ occurredAt }) => second(occurredAt) },
  {
    id: "contact",
    title: "Contact",
    cell: ({ contact }) => (
      <Link to="/contacts/$id" params={{ id: contact.id }}>
        {fullName(contact)}
      </Link>
    ),
  },
  {
    id: "campaign",
    title: "Campaign",
    cell: ({ campaign: { id, name } }) => (
      <Link to="/campaigns/$id" params={{ id }}>
        {name}
      </Link>
    ),
  },
  { id: "url", title: "Link", cell: ({ url }) => url ?? NONE },
];

const route = getRouteApi("/live");

/** Events as they happen. */
export function Live() {
  const search = route.useSearch();
  const { type, campaign } = search;
  const navigate = route.useNavigate();
  const [isPaused, setPaused] = useState(false);
  const [{ data }] = useQuery({ query: FeedCampaigns });
  const filter = useMemo(() => {
    const filter: EngagementEventFilter = {};
    if (type !== undefined) filter.type = { eq: type };
    if (campaign !== undefined) filter.campaignId = { eq: campaign };
    return filter;
  }, [type, campaign]);
  const { events, error } = useFeed(filter, isPaused);
  const set = (change: Partial<typeof search>) =>
    void navigate({ search: (before) => ({ ...before, ...change }), replace: true });
  return (
    <Stack gap="lg">
      <Group justify="space-between">
        <PageTitle>Live feed</PageTitle>
        <Group gap="xs">
          <LiveState />
          <Button size="xs" variant="default" onClick={() => setPaused(!isPaused)}>
            {isPaused ? "Resume" : "Pause"}
          </Button>
        </Group>
      </Group>
      {error !== null && (
        <Alert color="red" variant="outline" role="alert" title="The feed was interrupted, reconnecting">
          {error}
        </Alert>
      )}
      <Panel
        title="Events"
        actions={
          <Group gap="xs">
            <NativeSelect
              size="xs"
              aria-label="Kind of event"
              value={type ?? ""}
              onChange={({ currentTarget: { value } }) =>
                set({ type: EVENT_TYPES.find((known) => known === value) })
              }
              data={[
                { value: "", label: "All events" },
                ...EVENT_TYPES.map((known) => ({ value: known, label: word(known) })),
              ]}
            />
            <NativeSelect
              size="xs"
              aria-label="Campaign"
              value={campaign ?? ""}
              onChange={({ currentTarget: { value } }) => set({ campaign: value || undefined })}
              data={[
                { value: "", label: "All campaigns" },
                ...(data?.campaigns.nodes ?? []).map(({ id, name }) => ({ value: id, label: name })),
              ]}
            />
          </Group>
        }
      >
        {events.length === 0 ? (
          <Empty title={isPaused ? "Paused" : "Waiting for the next event"}>
            {isPaused
              ? "Resume to see what happened in the meantime."
              : "Events appear here as they happen, latest first."}
          </Empty>
        ) : (
          <>
            <Rows label="Events" columns={COLUMNS} rows={events} />
            <Text size="sm" c="dimmed" px="md" py="xs">
              {count(events.count)} since you opened this page
              {events.count > KEPT && `; the latest ${count(KEPT)} are shown`}
              {isPaused && ". Paused: new events appear when you resume."}
            </Text>
          </>
        )}
      </Panel>
    </Stack>
  );
}
