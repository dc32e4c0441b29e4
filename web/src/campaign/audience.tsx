import { SegmentedControl } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useMemo } from "react";
import { graphql } from "../../__generated__";
import type { EngagementEventType, FunnelFragment, ReactionFragment, SendFilter } from "../../__generated__/graphql";
import { AUDIENCES, type Audience as Who } from "../search";
import { fullName, moment, NONE, word } from "../ui/format";
import { usePages } from "../ui/pages";
import type { Column } from "../ui/table";
import { InfiniteList } from "../ui/infinite-list";
import { Panel } from "../ui/states";
import { ReloadButton } from "./reload-button";
import { Recipients } from "./recipients";

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

const EVENTS: Column<ReactionFragment>[] = [
  {
    id: "name",
    title: "Contact",
    cell: ({ contact }) => (
      <Link to="/contacts/$id" params={{ id: contact.id }}>
        {fullName(contact)}
      </Link>
    ),
  },
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

/** The number of recipients. */
const COUNTS: Record<Who, (stats: FunnelFragment) => number> = {
  all: ({ sends }) => sends,
  opened: ({ uniqueOpens }) => uniqueOpens,
  clicked: ({ uniqueClicks }) => uniqueClicks,
  bounced: ({ bounced }) => bounced,
  complained: ({ complaints }) => complaints,
  unsubscribed: ({ unsubscribes }) => unsubscribes,
};

/** The recipients of a campaign, and those who opened, clicked, bounced, complained or unsubscribed. */
export function Audience({
  id,
  stats,
  who,
  revision,
  onWho,
  onChange,
}: {
  id: string;
  stats: FunnelFragment;
  who: Who;
  revision: number;
  onWho: (who: Who) => void;
  onChange: () => void;
}) {
  const type = TYPES[who];
  return (
    <Panel
      title="Recipients"
      actions={
        <SegmentedControl
          size="xs"
          aria-label="Filter recipients"
          value={who}
          onChange={(value) => onWho(AUDIENCES.find((known) => known === value) ?? "all")}
          data={AUDIENCES.map((known) => ({ value: known, label: word(known) }))}
        />
      }
    >
      {type === undefined ? (
        <Recipients
          key={`${id} ${who}`}
          id={id}
          filter={FILTERS[who] ?? {}}
          now={COUNTS[who](stats)}
          revision={revision}
          onChange={onChange}
        />
      ) : (
        <OfEvents key={`${id} ${who}`} id={id} type={type} now={COUNTS[who](stats)} revision={revision} />
      )}
    </Panel>
  );
}

function OfEvents({
  id,
  type,
  now,
  revision,
}: {
  id: string;
  type: EngagementEventType;
  now: number;
  revision: number;
}) {
  const variables = useMemo(() => ({ id, type }), [id, type]);
  const list = usePages(Reactions, variables, (data) => data.campaign?.events);
  return (
    <>
      <ReloadButton list={list} now={now} revision={revision} />
      <InfiniteList label="Recipients" list={list} columns={EVENTS} empty="No recipients yet" />
    </>
  );
}
