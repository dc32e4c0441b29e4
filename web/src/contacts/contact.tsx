import { Alert, Anchor, Button, Group, SimpleGrid, Stack, Text } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { useMutation } from "urql";
import { graphql } from "../../__generated__";
import type { HistoryFragment, SuppressionReason } from "../../__generated__/graphql";
import { EventBadge } from "../live/event-badge";
import { useSession } from "../session/session";
import type { Chosen } from "../ui/choice";
import { Confirm } from "../ui/confirm";
import { day, eventName, fullName, NONE, second, word } from "../ui/format";
import { useStableQuery } from "../ui/query";
import { PageTitle } from "../ui/page-title";
import { usePages } from "../ui/pages";
import type { Column } from "../ui/table";
import { InfiniteList } from "../ui/infinite-list";
import { Failed, Loading, messageOf, Missing, Panel } from "../ui/states";
import { Unsubscribe } from "./unsubscribe";

const OneContact = graphql(`
  query OneContact($id: ID!) {
    contact(id: $id) {
      id
      firstName
      lastName
      email
      phone
      type
      title
      source
      city
      state
      country
      createdAt
      companies { id name }
      sends(first: 1, orderBy: [{ field: CREATED_AT, direction: DESC }]) {
        nodes { id campaign { id name } }
      }
      suppression {
        reason
        since
        event { id campaign { id name } }
      }
    }
  }
`);

const History = graphql(`
  query History($id: ID!, $after: String) {
    contact(id: $id) {
      id
      events(first: 200, after: $after) {
        totalCount
        nodes { ...History }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`);

export const HistoryOf = graphql(`
  fragment History on EngagementEvent {
    id
    ...Badge
    url
    occurredAt
    campaign { id name }
  }
`);

const DeleteEvent = graphql(`
  mutation DeleteEvent($id: ID!) { deleteEvent(id: $id) { id } }
`);

const COLUMNS: Column<HistoryFragment>[] = [
  { id: "type", title: "Event", cell: (event) => <EventBadge event={event} /> },
  { id: "when", title: "When", cell: ({ occurredAt }) => second(occurredAt) },
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

const REASONS: Record<SuppressionReason, string> = {
  UNSUBSCRIBE: "The contact unsubscribed",
  COMPLAINT: "The contact reported a message as spam",
  HARD_BOUNCE: "A message bounced permanently",
};

const route = getRouteApi("/contacts/$id");

/** The page of a contact: its data, its suppression and its events. */
export function ContactPage() {
  const { id } = route.useParams();
  const { shown, error, reload } = useStableQuery({ query: OneContact, variables: { id }, subject: id });
  const history = usePages(
    History,
    useMemo(() => ({ id }), [id]),
    (data) => data.contact?.events,
  );
  const { viewer } = useSession();
  const [chosen, setChosen] = useState<Chosen<HistoryFragment>>(new Map());
  const [isAsked, setAsked] = useState(false);
  const [failure, setFailure] = useState<string | null>(null);
  const [deleting, remove] = useMutation(DeleteEvent);
  const [one] = chosen.values();
  const settle = (failure: string | null) => {
    setFailure(failure);
    setAsked(false);
    setChosen(new Map());
    reload();
    history.reload();
  };
  const destroy = async () => {
    if (!one) return;
    const { error } = await remove({ id: one.id });
    settle(error ? messageOf(error) : null);
  };
  if (shown === null) return error ? <Failed error={error} onRetry={reload} /> : <Loading lines={10} />;
  const { contact } = shown.data;
  if (!contact) return <Missing what="contact" />;
  const { suppression } = contact;
  const [send] = contact.sends.nodes;
  const facts = [
    ["E-mail", contact.email],
    ["Phone", contact.phone],
    ["Type", word(contact.type)],
    ["Job title", contact.title],
    ["Companies", contact.companies.map(({ name }) => name).join(", ")],
    ["Place", [contact.city, contact.state, contact.country].filter(Boolean).join(", ")],
    ["Source", contact.source],
    ["Created", day(contact.createdAt)],
  ] as const;
  return (
    <Stack gap="lg">
      <Stack gap={4}>
        <Anchor component={Link} to="/contacts" size="sm">
          All contacts
        </Anchor>
        <Group justify="space-between">
          <PageTitle>{fullName(contact)}</PageTitle>
          {send && !suppression && <Unsubscribe name={fullName(contact)} send={send} onDone={settle} />}
        </Group>
      </Stack>
      {error && <Failed error={error} onRetry={reload} />}
      {failure !== null && (
        <Alert color="red" variant="outline" role="alert">
          {failure}
        </Alert>
      )}
      {suppression && (
        <Alert color="yellow" variant="outline" title="Suppressed: no more messages are sent to this contact">
          {REASONS[suppression.reason]} on {day(suppression.since)}, after{" "}
          <Link to="/campaigns/$id" params={{ id: suppression.event.campaign.id }} className="link">
            {suppression.event.campaign.name}
          </Link>
          .
        </Alert>
      )}
      <Panel title="About">
        <SimpleGrid cols={{ base: 2, md: 4 }} p="md" pt="xs" component="dl" m={0}>
          {facts.map(([name, value]) => (
            <div key={name}>
              <Text component="dt" size="sm" c="dimmed">
                {name}
              </Text>
              <Text component="dd" m={0} style={{ overflowWrap: "anywhere" }}>
                {value || NONE}
              </Text>
            </div>
          ))}
        </SimpleGrid>
      </Panel>
      <Panel
        title="History"
        actions={
          viewer.isAdmin && (
            <Button size="xs" variant="default" disabled={chosen.size !== 1} onClick={() => setAsked(true)}>
              Delete event
            </Button>
          )
        }
      >
        <InfiniteList
          label="History"
          list={history}
          columns={COLUMNS}
          choice={
            viewer.isAdmin
              ? {
                  chosen,
                  onChoose: setChosen,
                  nameOf: ({ type, occurredAt }) => `${eventName(type)}, ${second(occurredAt)}`,
                }
              : undefined
          }
          empty="No events yet"
        />
        <Confirm
          isOpen={isAsked}
          onClose={() => setAsked(false)}
          title="Delete this event?"
          action="Delete"
          isDangerous
          isBusy={deleting.fetching}
          onConfirm={destroy}
        >
          This removes the event from the figures and the history. It cannot be undone.
        </Confirm>
      </Panel>
    </Stack>
  );
}
