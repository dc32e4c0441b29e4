import { Alert, Button, Group, NativeSelect, Stack, Text } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import type { EngagementEventFilter, LiveEventFragment } from "../../__generated__/graphql";
import { allCampaigns } from "../campaign/names";
import { EVENT_TYPES } from "../search";
import { count, eventName, fullName, NONE, second } from "../ui/format";
import { PageTitle } from "../ui/page-title";
import { Picker } from "../ui/picker";
import { Rows } from "../ui/rows";
import type { Column } from "../ui/table";
import { Empty, Panel } from "../ui/states";
import { EventBadge } from "./event-badge";
import { MAX_EVENTS, useFeed } from "./feed";
import { LiveState } from "./state";

const COLUMNS: Column<LiveEventFragment>[] = [
  { id: "type", title: "Event", cell: (event) => <EventBadge event={event} /> },
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
              aria-label="Event type"
              value={type ?? ""}
              onChange={({ currentTarget: { value } }) =>
                set({ type: EVENT_TYPES.find((known) => known === value) })
              }
              data={[
                { value: "", label: "All events" },
                ...EVENT_TYPES.map((known) => ({ value: known, label: eventName(known) })),
              ]}
            />
            <Picker
              label="Campaign"
              placeholder="All campaigns"
              names={allCampaigns}
              value={campaign ?? null}
              onChange={(id) => set({ campaign: id ?? undefined })}
              isClearable
            />
          </Group>
        }
      >
        {events.length === 0 ? (
          <Empty title={isPaused ? "Paused" : "Waiting for the next event"}>
            {isPaused
              ? "Resume to see the events since then."
              : "Events appear here as they happen, latest first."}
          </Empty>
        ) : (
          <>
            <Rows label="Events" columns={COLUMNS} rows={events} />
            <Text size="sm" c="dimmed" px="md" py="xs">
              {count(events.count)} since you opened this page
              {events.count > MAX_EVENTS && `; the latest ${count(MAX_EVENTS)} are shown`}
              {isPaused && ". Paused: new events appear when you resume."}
            </Text>
          </>
        )}
      </Panel>
    </Stack>
  );
}
