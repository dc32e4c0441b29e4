import { Alert, Anchor, Button, Group, Stack, Text, Textarea, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useMemo, useState } from "react";
import type { RuleGroupType } from "react-querybuilder";
import { useMutation, useQuery } from "urql";
import { graphql } from "../../__generated__";
import { useSession } from "../session/session";
import { Confirm } from "../ui/confirm";
import { count, moment } from "../ui/format";
import { PageTitle } from "../ui/page-title";
import { Failed, Loading, messageOf, Missing, Panel } from "../ui/states";
import { Preview } from "./preview";
import { RuleEditor, RuleFields } from "./rule-editor";
import { EVERYONE, fromEditor, isComplete, type RuleField, toEditor } from "./rules";

const OneSegment = graphql(`
  query OneSegment($id: ID!) {
    segment(id: $id) { id name description filterRules contactCount campaignsUsedIn updatedAt }
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

/** A segment and its rules, or a new one. */
export function SegmentPage() {
  const { id } = route.useParams();
  const isNew = id === "new";
  const [fields] = useQuery({ query: RuleFields });
  const [stored, again] = useQuery({ query: OneSegment, variables: { id }, pause: isNew });
  const error = fields.error ?? stored.error;
  if (error) return <Failed error={error} onRetry={() => again({ requestPolicy: "network-only" })} />;
  if (!fields.data || (!isNew && !stored.data)) return <Loading lines={10} />;
  const segment = stored.data?.segment;
  if (!isNew && !segment) return <Missing what="segment" />;
  return <Editor key={id} segment={segment ?? null} fields={fields.data.segmentFields} />;
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

function Editor({ segment, fields }: { segment: Stored | null; fields: RuleField[] }) {
  const navigate = route.useNavigate();
  const { viewer } = useSession();
  const [name, setName] = useState(segment?.name ?? "");
  const [description, setDescription] = useState(segment?.description ?? "");
  const [rules, setRules] = useState<RuleGroupType>(() =>
    segment ? toEditor(segment.filterRules) : EVERYONE,
  );
  const [said, setSaid] = useState<{ text: string; isFailure: boolean } | null>(null);
  const [isDeleting, setDeleting] = useState(false);
  const [creating, create] = useMutation(Create);
  const [updating, update] = useMutation(Update);
  const [refreshing, refresh] = useMutation(Refresh);
  const [deleting, remove] = useMutation(Delete);

  const byName = useMemo(() => new Map(fields.map((field) => [field.name, field])), [fields]);
  const filterRules = useMemo(() => fromEditor(rules, byName), [rules, byName]);
  const [settled] = useDebouncedValue(filterRules, 300);

  const save = async () => {
    const input = { name: name.trim(), description: description === "" ? null : description, filterRules };
    const result = segment
      ? await update({ input: { id: segment.id, ...input } })
      : await create({ input });
    if (result.error) return setSaid({ text: messageOf(result.error), isFailure: true });
    const made = result.data && "createSegment" in result.data ? result.data.createSegment.segment.id : null;
    const id = segment?.id ?? made;
    // the stored count is that of the rules before until it is taken again
    if (id) await refresh({ id });
    setSaid({ text: "Saved.", isFailure: false });
    if (made) await navigate({ to: "/segments/$id", params: { id: made }, replace: true });
  };
  const destroy = async () => {
    if (!segment) return;
    const { error } = await remove({ id: segment.id });
    setDeleting(false);
    if (error) setSaid({ text: messageOf(error), isFailure: true });
    else await navigate({ to: "/segments" });
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
      {said && (
        <Alert color={said.isFailure ? "red" : "pine"} variant="outline" role={said.isFailure ? "alert" : "status"}>
          {said.text}
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
            <RuleEditor rules={rules} fields={fields} onChange={setRules} />
          </div>
          <Group>
            <Button
              onClick={save}
              disabled={name.trim() === "" || !isComplete(rules)}
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
      <Preview rules={settled} isComplete={isComplete(rules)} />
      <Confirm
        isOpen={isDeleting}
        onClose={() => setDeleting(false)}
        title={`Delete ${segment?.name ?? ""}?`}
        action="Delete"
        isDangerous
        isBusy={deleting.fetching}
        onConfirm={destroy}
      >
        Contacts that are on a list because of this segment stay on it.
      </Confirm>
    </Stack>
  );
}
