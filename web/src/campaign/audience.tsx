import { SegmentedControl } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { graphql } from "../../__generated__";
import type {
  EngagementEventType,
  ReactionFragment,
  RecipientFragment,
  SendFilter,
} from "../../__generated__/graphql";
import { AUDIENCES, type Audience as Who } from "../search";
import { count, fullName, moment, NONE, word } from "../ui/format";
import { usePages } from "../ui/pages";
import type { Column } from "../ui/rows";
import { Scrolled } from "../ui/scrolled";
import { Panel } from "../ui/states";
import { StatusBadge } from "../ui/status-badge";

const Recipients = graphql(`
  query Recipients($id: ID!, $filter: SendFilter, $after: String) {
    campaign(id: $id) {
      id
      sends(filter: $filter, first: 200, after: $after) {
        totalCount
        nodes { ...Recipient }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`);

export const RecipientOf = graphql(`
  fragment Recipient on Send {
    id
    status
    sentAt
    opens
    clicks
    error
    contact { id firstName lastName email }
  }
`);

const Reactions = graphql(`
  query Reactions($id: ID!, $type: EngagementEventType!, $after: String) {
    campaign(id: $id) {
      id
      events(filter: { type: { eq: $type } }, first: 200, after: $after) {
        totalCount
        nodes { ...Reaction }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`);

export const ReactionOf = graphql(`
  fragment Reaction on EngagementEvent {
    id
    occurredAt
    contact { id firstName lastName email }
  }
`);

interface Person {
  id: string;
  firstName: string;
  lastName?: string | null;
  email?: string | null;
}

const person = (contact: Person) => (
  <Link to="/contacts/$id" params={{ id: contact.id }}>
    {fullName(contact)}
  </Link>
);

const SENDS: Column<RecipientFragment>[] = [
  { id: "name", title: "Contact", cell: ({ contact }) => person(contact) },
  { id: "email", title: "E-mail", cell: ({ contact }) => contact.email ?? NONE },
  { id: "status", title: "Status", cell: ({ status }) => <StatusBadge status={status} /> },
  { id: "sent", title: "Sent", cell: ({ sentAt }) => moment(sentAt) },
  { id: "opens", title: "Opens", isNumber: true, cell: ({ opens }) => count(opens) },
  { id: "clicks", title: "Clicks", isNumber: true, cell: ({ clicks }) => count(clicks) },
  { id: "error", title: "Error", cell: ({ error }) => error ?? NONE },
];

const EVENTS: Column<ReactionFragment>[] = [
  { id: "name", title: "Contact", cell: ({ contact }) => person(contact) },
  { id: "email", title: "E-mail", cell: ({ contact }) => contact.email ?? NONE },
  { id: "when", title: "When", cell: ({ occurredAt }) => moment(occurredAt) },
];

const FILTERS: Partial<Record<Who, SendFilter>> = {
  all: {},
  opened: { opened: true },
  clicked: { clicked: true },
  bounced: { status: { eq: "BOUNCED" } },
};

const TYPES: Partial<Record<Who, EngagementEventType>> = {
  complained: "COMPLAINT",
  unsubscribed: "UNSUBSCRIBE",
};

/** Whom a campaign went to, and who opened, clicked, bounced, complained or unsubscribed. */
export function Audience({ id, who, onWho }: { id: string; who: Who; onWho: (who: Who) => void }) {
  const type = TYPES[who];
  return (
    <Panel
      title="Recipients"
      actions={
        <SegmentedControl
          size="xs"
          aria-label="Which recipients"
          value={who}
          onChange={(value) => onWho(AUDIENCES.find((known) => known === value) ?? "all")}
          data={AUDIENCES.map((known) => ({ value: known, label: word(known) }))}
        />
      }
    >
      {type === undefined ? (
        <OfSends key={who} id={id} filter={FILTERS[who] ?? {}} />
      ) : (
        <OfEvents key={who} id={id} type={type} />
      )}
    </Panel>
  );
}

function OfSends({ id, filter }: { id: string; filter: SendFilter }) {
  const variables = useMemo(() => ({ id, filter }), [id, filter]);
  const list = usePages(Recipients, variables, (data) => data.campaign?.sends);
  return <Scrolled label="Recipients" list={list} columns={SENDS} empty="Nobody yet" />;
}

function OfEvents({ id, type }: { id: string; type: EngagementEventType }) {
  const variables = useMemo(() => ({ id, type }), [id, type]);
  const list = usePages(Reactions, variables, (data) => data.campaign?.events);
  return <Scrolled label="Recipients" list={list} columns={EVENTS} empty="Nobody yet" />;
}
