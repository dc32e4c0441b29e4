import { Alert, Anchor, SimpleGrid, Stack, Text } from "@mantine/core";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { useQuery } from "urql";
import { graphql } from "../../__generated__";
import type { HistoryFragment, SuppressionReason } from "../../__generated__/graphql";
import { EventBadge } from "../live/event-badge";
import { day, fullName, NONE, second, word } from "../ui/format";
import { PageTitle } from "../ui/page-title";
import { usePages } from "../ui/pages";
import type { Column } from "../ui/rows";
import { Scrolled } from "../ui/scrolled";
import { Failed, Loading, Missing, Panel } from "../ui/states";

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
    type
    url
    occurredAt
    campaign { id name }
  }
`);

const COLUMNS: Column<HistoryFragment>[] = [
  { id: "type", title: "Event", cell: ({ type }) => <EventBadge type={type} /> },
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
  HARD_BOUNCE: "A message came back for good",
};

const route = getRouteApi("/contacts/$id");

/** A contact, whether anything more may be sent to it, and what it did. */
export function ContactPage() {
  const { id } = route.useParams();
  const [{ data, error, fetching }, again] = useQuery({ query: OneContact, variables: { id } });
  const history = usePages(
    History,
    useMemo(() => ({ id }), [id]),
    (data) => data.contact?.events,
  );
  if (error && !fetching) {
    return <Failed error={error} onRetry={() => again({ requestPolicy: "network-only" })} />;
  }
  if (!data) return <Loading lines={10} />;
  const { contact } = data;
  if (!contact) return <Missing what="contact" />;
  const { suppression } = contact;
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
        <PageTitle>{fullName(contact)}</PageTitle>
      </Stack>
      {suppression && (
        <Alert color="yellow" variant="outline" title="Suppressed: nothing more is sent to this contact">
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
      <Panel title="History">
        <Scrolled label="History" list={history} columns={COLUMNS} empty="Nothing happened yet" />
      </Panel>
    </Stack>
  );
}
