import { Button, Group, NativeSelect, Stack, Text, TextInput } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import { useMutation } from "urql";
import { graphql } from "../../__generated__";
import type { RecipientFragment, SendFilter, SendStatus } from "../../__generated__/graphql";
import { useSession } from "../session/session";
import type { Chosen } from "../ui/choice";
import { Confirm } from "../ui/confirm";
import { Dialog } from "../ui/dialog";
import { count, fullName, moment, NONE, word } from "../ui/format";
import { usePages } from "../ui/pages";
import type { Column } from "../ui/table";
import { InfiniteList } from "../ui/infinite-list";
import { messageOf } from "../ui/states";
import { StatusBadge } from "../ui/status-badge";
import { ReloadButton } from "./reload-button";

const SendsOf = graphql(`
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

const Report = graphql(`
  mutation ReportSends($input: [UpdateSendInput!]!) { updateSends(input: $input) { updated unchanged } }
`);

const Delete = graphql(`
  mutation DeleteSend($id: ID!) { deleteSend(id: $id) { id } }
`);

/** The maximum number of reports in one request to the API. */
const MOST = 10_000;
const REPORTED: SendStatus[] = ["SENT", "DELIVERED", "BOUNCED", "FAILED"];

const COLUMNS: Column<RecipientFragment>[] = [
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
  { id: "status", title: "Status", cell: ({ status }) => <StatusBadge status={status} /> },
  { id: "sent", title: "Sent", cell: ({ sentAt }) => moment(sentAt) },
  { id: "opens", title: "Opens", isNumber: true, cell: ({ opens }) => count(opens) },
  { id: "clicks", title: "Clicks", isNumber: true, cell: ({ clicks }) => count(clicks) },
  { id: "error", title: "Error", cell: ({ error }) => error ?? NONE },
];

/** The sends of a campaign. Users can report the delivery of selected sends, and admins can delete one. */
export function Recipients({
  id,
  filter,
  now,
  revision,
  onChange,
}: {
  id: string;
  filter: SendFilter;
  now: number;
  revision: number;
  onChange: () => void;
}) {
  const { viewer } = useSession();
  const variables = useMemo(() => ({ id, filter }), [id, filter]);
  const list = usePages(SendsOf, variables, (data) => data.campaign?.sends);
  const [chosen, setChosen] = useState<Chosen<RecipientFragment>>(new Map());
  const [asked, setAsked] = useState<"report" | "delete" | null>(null);
  const [message, setMessage] = useState<string | null>(null);
  const [deleting, remove] = useMutation(Delete);
  const [one] = chosen.values();

  const settle = (text: string) => {
    setAsked(null);
    setMessage(text);
    setChosen(new Map());
    list.reload();
    onChange();
  };
  const destroy = async () => {
    if (!one) return;
    const { error } = await remove({ id: one.id });
    settle(error ? messageOf(error) : "The send was deleted.");
  };
  return (
    <>
      <Group px="md" pb="xs" gap="xs">
        <Button
          size="xs"
          variant="default"
          disabled={chosen.size === 0 || chosen.size > MOST}
          onClick={() => setAsked("report")}
        >
          Report delivery
        </Button>
        {viewer.isAdmin && (
          <Button size="xs" variant="default" disabled={chosen.size !== 1} onClick={() => setAsked("delete")}>
            Delete send
          </Button>
        )}
        <Text size="sm" role="status">
          {message}
        </Text>
      </Group>
      <ReloadButton list={list} now={now} revision={revision} />
      <InfiniteList
        label="Recipients"
        list={list}
        columns={COLUMNS}
        choice={{ chosen, onChoose: setChosen, nameOf: ({ contact }) => fullName(contact) }}
        empty="No recipients yet"
      />
      <ReportForm
        ids={[...chosen.keys()]}
        isOpen={asked === "report"}
        onClose={() => setAsked(null)}
        onDone={settle}
      />
      <Confirm
        isOpen={asked === "delete"}
        onClose={() => setAsked(null)}
        title={`Delete the send to ${one ? fullName(one.contact) : ""}?`}
        action="Delete"
        isDangerous
        isBusy={deleting.fetching}
        onConfirm={destroy}
      >
        This deletes the send with its events. It cannot be undone.
      </Confirm>
    </>
  );
}

function ReportForm({
  ids,
  isOpen,
  onClose,
  onDone,
}: {
  ids: string[];
  isOpen: boolean;
  onClose: () => void;
  onDone: (message: string) => void;
}) {
  const [status, setStatus] = useState<SendStatus>("DELIVERED");
  const [reason, setReason] = useState("");
  const [failure, setFailure] = useState<string | null>(null);
  const [{ fetching }, report] = useMutation(Report);
  const hasReason = status === "BOUNCED" || status === "FAILED";
  const save = async () => {
    const error = hasReason && reason !== "" ? reason : undefined;
    const { data, error: failed } = await report({ input: ids.map((id) => ({ id, status, error })) });
    if (failed) return setFailure(messageOf(failed));
    setFailure(null);
    const { updated, unchanged } = data?.updateSends ?? { updated: 0, unchanged: 0 };
    onDone(`${count(updated)} updated, ${count(unchanged)} unchanged.`);
  };
  return (
    <Dialog isOpen={isOpen} onClose={onClose} title={`Report delivery of ${count(ids.length)} sends`}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <Stack>
          <NativeSelect
            label="Status"
            description="A status only moves forward, so a late report changes nothing."
            value={status}
            onChange={({ currentTarget: { value } }) =>
              setStatus(REPORTED.find((known) => known === value) ?? "DELIVERED")
            }
            data={REPORTED.map((known) => ({ value: known, label: word(known) }))}
            error={failure}
          />
          {hasReason && (
            <TextInput
              label="Error"
              value={reason}
              onChange={({ currentTarget }) => setReason(currentTarget.value)}
            />
          )}
          <Group justify="end">
            <Button variant="default" onClick={onClose}>
              Back
            </Button>
            <Button type="submit" loading={fetching}>
              Report
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}
