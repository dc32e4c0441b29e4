import { Alert, Anchor, Button, Group, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { getRouteApi, Link, useBlocker } from "@tanstack/react-router";
import { useCallback, useMemo, useRef, useState } from "react";
import type { RuleGroupType } from "react-querybuilder";
import { useMutation } from "urql";
import { graphql } from "../../__generated__";
import { useSession } from "../session/session";
import { Confirm } from "../ui/confirm";
import { Discard } from "../ui/discard";
import { count, moment } from "../ui/format";
import { useStableQuery } from "../ui/query";
import { PageTitle } from "../ui/page-title";
import { Failed, Loading, messageOf, Missing, Panel } from "../ui/states";
import { Preview } from "./preview";
import { type RuleError, RuleEditor, RuleFields } from "./rule-editor";
import { EVERYONE, fromEditor, isComplete, type RuleField, toEditor } from "./rules";

const OneSegment = graphql(`
  query OneSegment($id: ID!, $isNew: Boolean!) {
    segment(id: $id) @skip(if: $isNew) { id name description filterRules contactCount campaignsUsedIn updatedAt }
  }
`);

const Create = graphql(`
  mutation CreateSegment($input: CreateSegmentInput!) { createSegment(input: $input) { segment { id name } } }
`);
const Update = graphql(`
  mutation UpdateSegment($input: UpdateSegmentInput!) {
    updateSegment(input: $input) { segment { id name description filterRules updatedAt } }
  }
`);
const Refresh = graphql(`
  mutation RefreshSegment($id: ID!) { refreshSegment(id: $id) { segment { id contactCount } } }
`);
const Delete = graphql(`
  mutation DeleteSegment($id: ID!) { deleteSegment(id: $id) { id } }
`);

const route = getRouteApi("/segments/$id");

/** The page of a segment and its rules, or of a new segment. */
export function SegmentPage() {
  const { id } = route.useParams();
  const isNew = id === "new";
  const fields = useStableQuery({ query: RuleFields, variables: NOTHING });
  const stored = useStableQuery({ query: OneSegment, variables: { id, isNew }, subject: id });
  // kept here, so that the message survives the navigation to a created segment
  const [message, setMessage] = useState<(Message & { of: string }) | null>(null);
  const error = fields.error ?? stored.error;
  const reload = () => {
    fields.reload();
    stored.reload();
  };
  if (fields.shown === null || stored.shown === null) {
    return error ? <Failed error={error} onRetry={reload} /> : <Loading lines={10} />;
  }
  const { segment = null } = stored.shown.data;
  if (!isNew && segment === null) return <Missing what="segment" />;
  return (
    <>
      {error && <Failed error={error} onRetry={reload} />}
      <Editor
        key={id}
        segment={segment}
        fields={fields.shown.data.segmentFields}
        message={message?.of === id ? message : null}
        onMessage={(message, of = id) => setMessage({ ...message, of })}
      />
    </>
  );
}

const NOTHING = {};

/** The message about the last action. */
interface Message {
  text: string;
  isFailure: boolean;
}

interface Stored {
  id: string;
  name: string;
  description?: string | null;
  filterRules: unknown;
  contactCount: number;
  campaignsUsedIn: number;
  updatedAt: string;
}

function Editor({
  segment,
  fields,
  message,
  onMessage,
}: {
  segment: Stored | null;
  fields: RuleField[];
  message: Message | null;
  onMessage: (message: Message, of?: string) => void;
}) {
  const navigate = route.useNavigate();
  const { viewer } = useSession();
  const [name, setName] = useState(segment?.name ?? "");
  const [description, setDescription] = useState(segment?.description ?? "");
  const [rules, setRules] = useState<RuleGroupType>(() =>
    segment ? toEditor(segment.filterRules) : EVERYONE,
  );
  const [isDeleting, setDeleting] = useState(false);
  const [creating, create] = useMutation(Create);
  const [updating, update] = useMutation(Update);
  const [refreshing, refresh] = useMutation(Refresh);
  const [deleting, remove] = useMutation(Delete);

  const byName = useMemo(() => new Map(fields.map((field) => [field.name, field])), [fields]);
  const filterRules = useMemo(() => fromEditor(rules, byName), [rules, byName]);
  const [settled] = useDebouncedValue(filterRules, 300);
  const input = { name: name.trim(), description: description === "" ? null : description, filterRules };
  // the input when the page was opened or last saved
  const saved = useRef(JSON.stringify(input));
  const isLeaving = useRef(false);
  const isChanged = () => !isLeaving.current && JSON.stringify(input) !== saved.current;
  const blocker = useBlocker({ shouldBlockFn: isChanged, enableBeforeUnload: isChanged, withResolver: true });
  // the service's error about the rules in `of`, ignored for any other rules
  const [refusal, setRefusal] = useState<{ of: unknown; error: RuleError } | null>(null);
  const wrong = refusal?.of === settled ? refusal.error : null;
  const onRefusal = useCallback(
    (of: unknown, error: RuleError | null) => setRefusal(error && { of, error }),
    [],
  );

  const save = async () => {
    const result = segment
      ? await update({ input: { id: segment.id, ...input } })
      : await create({ input });
    if (result.error) return onMessage({ text: messageOf(result.error), isFailure: true });
    saved.current = JSON.stringify(input);
    const made = result.data && "createSegment" in result.data ? result.data.createSegment.segment.id : null;
    const id = segment?.id ?? made;
    // until a refresh, the stored count is that of the previous rules
    if (id) await refresh({ id });
    onMessage({ text: "Saved.", isFailure: false }, id ?? undefined);
    if (made) await navigate({ to: "/segments/$id", params: { id: made }, replace: true });
  };
  const destroy = async () => {
    if (!segment) return;
    const { error } = await remove({ id: segment.id });
    setDeleting(false);
    if (error) return onMessage({ text: messageOf(error), isFailure: true });
    isLeaving.current = true;
    await navigate({ to: "/segments" });
  };

  return (
    <Stack gap="lg">
      <Stack gap={4}>
        <Anchor component={Link} to="/segments" size="sm">
          All segments
        </Anchor>
        <PageTitle>{segment ? segment.name : "New segment"}</PageTitle>
        {segment && (
          <Text c="dimmed" size="sm">
            {count(segment.contactCount)} contacts when last counted · used in {count(segment.campaignsUsedIn)}{" "}
            campaigns · changed {moment(segment.updatedAt)}
          </Text>
        )}
      </Stack>
      {message && (
        <Alert color={message.isFailure ? "red" : "pine"} variant="outline" role={message.isFailure ? "alert" : "status"}>
          {message.text}
        </Alert>
      )}
      <Panel title="Rules">
        <Stack p="md" pt="xs">
          <TextInput
            label="Name"
            required
            maw={480}
            value={name}
            onChange={({ currentTarget }) => setName(currentTarget.value)}
          />
          <Textarea
            label="Description"
            maw={480}
            autosize
            value={description}
            onChange={({ currentTarget }) => setDescription(currentTarget.value)}
          />
          <div>
            <RuleEditor rules={rules} fields={fields} error={wrong} onChange={setRules} />
          </div>
          <Group>
            <Button
              onClick={save}
              disabled={name.trim() === "" || !isComplete(rules) || wrong !== null}
              loading={creating.fetching || updating.fetching || refreshing.fetching}
            >
              {segment ? "Save" : "Create segment"}
            </Button>
            {segment && viewer.isAdmin && (
              <Button variant="default" c="var(--mantine-color-error)" onClick={() => setDeleting(true)}>
                Delete
              </Button>
            )}
          </Group>
        </Stack>
      </Panel>
      <Preview rules={settled} isComplete={isComplete(rules)} onRefusal={onRefusal} />
      <Discard
        isOpen={blocker.status === "blocked"}
        onStay={() => blocker.reset?.()}
        onDiscard={() => blocker.proceed?.()}
      />
      <Confirm
        isOpen={isDeleting}
        onClose={() => setDeleting(false)}
        title={`Delete ${segment?.name ?? ""}?`}
        action="Delete"
        isDangerous
        isBusy={deleting.fetching}
        onConfirm={destroy}
      >
        Contacts that this segment added to a list stay on the list.
      </Confirm>
    </Stack>
  );
}
