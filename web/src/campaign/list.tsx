import { Button, Group, Text } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { useMutation } from "urql";
import { graphql } from "../../__generated__";
import type { CampaignStatus, EntryFragment } from "../../__generated__/graphql";
import { segmentNames } from "../segments/names";
import { useSession } from "../session/session";
import type { Chosen } from "../ui/choice";
import { Confirm } from "../ui/confirm";
import { count, day, fullName, NONE } from "../ui/format";
import { usePages } from "../ui/pages";
import { Picker } from "../ui/picker";
import type { Column } from "../ui/table";
import { InfiniteList } from "../ui/infinite-list";
import { messageOf, Panel } from "../ui/states";

const Entries = graphql(`
  query Entries($id: ID!, $after: String) {
    campaign(id: $id) {
      id
      list(first: 200, after: $after) {
        totalCount
        nodes { ...Entry }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`);

export const EntryOf = graphql(`
  fragment Entry on ListEntry {
    id
    createdAt
    segment { id name }
    contact { id firstName lastName email }
  }
`);

const AddSegment = graphql(`
  mutation AddSegmentToList($campaignId: ID!, $segmentId: ID!) {
    addSegmentToList(campaignId: $campaignId, segmentId: $segmentId) { added alreadyOnList }
  }
`);

const Remove = graphql(`
  mutation RemoveContactsFromList($campaignId: ID!, $contactIds: [ID!]!) {
    removeContactsFromList(campaignId: $campaignId, contactIds: $contactIds) { removed }
  }
`);

const Queue = graphql(`
  mutation QueueSends($campaignId: ID!) {
    queueSends(campaignId: $campaignId) { queued alreadyQueued suppressed withoutAddress }
  }
`);

/** The maximum number of contacts to remove in one request to the API. */
const MOST = 10_000;

const COLUMNS: Column<EntryFragment>[] = [
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
  { id: "segment", title: "From segment", cell: ({ segment }) => segment?.name ?? NONE },
  { id: "added", title: "Added", cell: ({ createdAt }) => day(createdAt) },
];

/** The recipient list of a campaign. Users can add the contacts of a segment, and admins can remove contacts. */
export function List({
  campaign: {
    id,
    status,
    stats: { sends },
  },
  onChange,
}: {
  campaign: { id: string; status: CampaignStatus; stats: { sends: number } };
  onChange: () => void;
}) {
  const list = usePages(
    Entries,
    useMemo(() => ({ id }), [id]),
    (data) => data.campaign?.list,
  );
  const [segmentId, setSegmentId] = useState<string | null>(null);
  const [message, setMessage] = useState<string | null>(null);
  const [adding, add] = useMutation(AddSegment);
  const [queueing, queue] = useMutation(Queue);
  const [removing, remove] = useMutation(Remove);
  const [chosen, setChosen] = useState<Chosen<EntryFragment>>(new Map());
  const [asked, setAsked] = useState<"remove" | "queue" | null>(null);
  const { viewer } = useSession();

  const addSegment = async () => {
    if (segmentId === null) return;
    const { data, error } = await add({ campaignId: id, segmentId });
    if (error) return setMessage(messageOf(error));
    const { added, alreadyOnList } = data?.addSegmentToList ?? { added: 0, alreadyOnList: 0 };
    setMessage(`${count(added)} added, ${count(alreadyOnList)} already on the list.`);
    list.reload();
  };
  const removeChosen = async () => {
    const contactIds = [...chosen.values()].map(({ contact }) => contact.id);
    const { data, error } = await remove({ campaignId: id, contactIds });
    setAsked(null);
    if (error) return setMessage(messageOf(error));
    setMessage(`${count(data?.removeContactsFromList.removed ?? 0)} removed from the list.`);
    setChosen(new Map());
    list.reload();
  };
  const queueSends = async () => {
    const { data, error } = await queue({ campaignId: id });
    setAsked(null);
    if (error) return setMessage(messageOf(error));
    const of = data?.queueSends;
    if (of) {
      setMessage(
        `${count(of.queued)} queued, ${count(of.alreadyQueued)} already queued, ` +
          `${count(of.suppressed)} suppressed, ${count(of.withoutAddress)} without an address.`,
      );
    }
    onChange();
  };
  return (
    <Panel
      title="List"
      actions={
        <Group gap="xs">
          <Picker
            label="Segment to add"
            placeholder="Segment"
            names={segmentNames}
            value={segmentId}
            onChange={setSegmentId}
          />
          <Button
            size="xs"
            variant="default"
            disabled={segmentId === null}
            loading={adding.fetching}
            onClick={addSegment}
          >
            Add segment
          </Button>
          {
            // starting a campaign queues its sends, and a queued send can be delivered immediately
            status === "SENDING" && (
              <Button size="xs" variant="default" onClick={() => setAsked("queue")}>
                Queue sends
              </Button>
            )
          }
          {viewer.isAdmin && (
            <Button
              size="xs"
              variant="default"
              disabled={chosen.size === 0 || chosen.size > MOST}
              onClick={() => setAsked("remove")}
            >
              Remove from list
            </Button>
          )}
        </Group>
      }
    >
      <Text size="sm" px="md" role="status">
        {message}
      </Text>
      <InfiniteList
        label="List"
        list={list}
        columns={COLUMNS}
        choice={
          viewer.isAdmin
            ? { chosen, onChoose: setChosen, nameOf: ({ contact }) => fullName(contact) }
            : undefined
        }
        empty="The list is empty"
      />
      <Confirm
        isOpen={asked === "remove"}
        onClose={() => setAsked(null)}
        title={`Remove ${count(chosen.size)} from the list?`}
        action="Remove"
        isDangerous
        isBusy={removing.fetching}
        onConfirm={removeChosen}
      >
        This does not delete the contacts or the sends that are queued for them.
      </Confirm>
      <Confirm
        isOpen={asked === "queue"}
        onClose={() => setAsked(null)}
        title="Queue sends for new contacts?"
        action="Queue sends"
        isBusy={queueing.fetching}
        onConfirm={queueSends}
      >
        The list has {count(list.total ?? 0)} contacts, and the campaign has {count(sends)} sends. This queues a send for
        each contact on the list without one, except suppressed contacts. It can be delivered immediately.
      </Confirm>
    </Panel>
  );
}
