import {
  Alert,
  Anchor,
  Button,
  Code,
  Group,
  Select,
  SimpleGrid,
  Stack,
  Text,
  Textarea,
  TextInput,
} from "@mantine/core";
import { useClipboard } from "@mantine/hooks";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type FormEvent, useState } from "react";
import { useMutation } from "urql";
import { graphql } from "../../__generated__";
import type { Provider, ProviderWebhookViewFragment } from "../../__generated__/graphql";
import { base } from "../base";
import { useSession } from "../session/session";
import { Confirm } from "../ui/confirm";
import { count, moment } from "../ui/format";
import { PageTitle } from "../ui/page-title";
import { useStableQuery } from "../ui/query";
import { Failed, Loading, messageOf, Missing, Panel } from "../ui/states";
import { PROVIDERS, STEPS } from "./names";
import { useReloads } from "./reloads";

const OneWebhook = graphql(`
  query OneWebhook($id: ID!) { node(id: $id) { __typename ...ProviderWebhookView } }
`);

export const ProviderWebhookView = graphql(`
  fragment ProviderWebhookView on ProviderWebhook {
    id
    name
    provider
    enabled
    topicArns
    path
    keys { hint createdAt }
    stats {
      accepted
      refused
      recorded
      repeated
      ignored
      unmatched
      dropped
      unreadable
      lastAcceptedAt
      lastRefusedAt
      lastRefusal
    }
  }
`);

const Create = graphql(`
  mutation CreateWebhook($input: CreateProviderWebhookInput!) {
    createProviderWebhook(input: $input) { providerWebhook { ...ProviderWebhookView } }
  }
`);
const Update = graphql(`
  mutation UpdateWebhook($input: UpdateProviderWebhookInput!) {
    updateProviderWebhook(input: $input) { providerWebhook { ...ProviderWebhookView } }
  }
`);
const Delete = graphql(`
  mutation DeleteWebhook($id: ID!) { deleteProviderWebhook(id: $id) { id } }
`);

/** The number of keys that are valid at once. */
const MOST_KEYS = 5;

const route = getRouteApi("/providers/$id");

/** The page of a webhook, or of a new one. */
export function WebhookPage() {
  const { id } = route.useParams();
  return id === "new" ? <NewWebhook /> : <OneWebhookPage key={id} id={id} />;
}

function Back() {
  return (
    <Anchor component={Link} to="/providers" size="sm">
      All webhooks
    </Anchor>
  );
}

/** The lines of a text without empty ones, for several topics. */
const linesOf = (text: string) =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");

function NewWebhook() {
  const navigate = route.useNavigate();
  const { viewer } = useSession();
  const [name, setName] = useState("");
  const [provider, setProvider] = useState<Provider>("SES");
  const [secret, setSecret] = useState("");
  const [failure, setFailure] = useState<string | null>(null);
  const [creating, create] = useMutation(Create);
  const { key } = PROVIDERS[provider];
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setFailure(null);
    const input = {
      name: name.trim(),
      provider,
      ...(key === null ? { topicArns: linesOf(secret) } : { keys: [secret.trim()] }),
    };
    const { data, error } = await create({ input });
    if (error) return setFailure(messageOf(error));
    const id = data?.createProviderWebhook.providerWebhook.id;
    if (id) await navigate({ to: "/providers/$id", params: { id }, replace: true });
  };
  return (
    <Stack gap="lg">
      <Stack gap={4}>
        <Back />
        <PageTitle>New webhook</PageTitle>
      </Stack>
      {!viewer.isAdmin && <Alert variant="outline">Only admins can create webhooks.</Alert>}
      <Panel title="Webhook">
        <form onSubmit={(event) => void submit(event)}>
          <Stack p="md" pt="xs" maw={640}>
            {failure !== null && (
              <Alert color="red" variant="outline" role="alert">
                {failure}
              </Alert>
            )}
            <Select
              label="Provider"
              data={Object.entries(PROVIDERS).map(([value, { name }]) => ({ value, label: name }))}
              allowDeselect={false}
              value={provider}
              onChange={(value) => {
                setProvider(value as Provider);
                setSecret("");
              }}
            />
            <TextInput
              label="Name"
              required
              value={name}
              onChange={({ currentTarget }) => setName(currentTarget.value)}
            />
            <Secret provider={provider} value={secret} onChange={setSecret} />
            <Group>
              <Button
                type="submit"
                disabled={!viewer.isAdmin || name.trim() === "" || secret.trim() === ""}
                loading={creating.fetching}
              >
                Create webhook
              </Button>
            </Group>
            <Text size="sm" c="dimmed">
              The next page has the URL to paste and the steps at the provider.
            </Text>
          </Stack>
        </form>
      </Panel>
    </Stack>
  );
}

/** The field for a key or, with SES, for topics. */
function Secret({
  provider,
  value,
  onChange,
}: {
  provider: Provider;
  value: string;
  onChange: (value: string) => void;
}) {
  const { key } = PROVIDERS[provider];
  return (
    <Textarea
      label={key?.label ?? "Topic ARNs"}
      description={key?.hint ?? "The ARNs of the SNS topics, one on each line. Requests of other topics are refused."}
      required
      autosize
      minRows={1}
      maxRows={8}
      autoComplete="off"
      spellCheck={false}
      value={value}
      onChange={({ currentTarget }) => onChange(currentTarget.value)}
    />
  );
}

function OneWebhookPage({ id }: { id: string }) {
  const { shown, error, reload } = useStableQuery({ query: OneWebhook, variables: { id }, subject: id });
  useReloads(reload);
  const node = shown?.data.node;
  if (shown === null) return error ? <Failed error={error} onRetry={reload} /> : <Loading lines={10} />;
  if (node?.__typename !== "ProviderWebhook") return <Missing what="webhook" />;
  return (
    <>
      {error && <Failed error={error} onRetry={reload} />}
      <Webhook webhook={node} />
    </>
  );
}

function Webhook({ webhook }: { webhook: ProviderWebhookViewFragment }) {
  const navigate = route.useNavigate();
  const { viewer } = useSession();
  const [isDeleting, setDeleting] = useState(false);
  const [failure, setFailure] = useState<string | null>(null);
  const [updating, update] = useMutation(Update);
  const [deleting, remove] = useMutation(Delete);
  const { id, name, provider, enabled } = webhook;
  const enable = async () => {
    const { error } = await update({ input: { id, enabled: !enabled } });
    setFailure(error ? messageOf(error) : null);
  };
  const destroy = async () => {
    const { error } = await remove({ id });
    setDeleting(false);
    if (error) return setFailure(messageOf(error));
    await navigate({ to: "/providers" });
  };
  return (
    <Stack gap="lg">
      <Stack gap={4}>
        <Back />
        <Group justify="space-between">
          <PageTitle>{name}</PageTitle>
          {viewer.isAdmin && (
            <Group gap="xs">
              <Button size="xs" variant="default" loading={updating.fetching} onClick={() => void enable()}>
                {enabled ? "Disable" : "Enable"}
              </Button>
              <Button size="xs" variant="default" c="var(--mantine-color-error)" onClick={() => setDeleting(true)}>
                Delete
              </Button>
            </Group>
          )}
        </Group>
        <Text c="dimmed" size="sm">
          {PROVIDERS[provider].name}
          {!enabled && " · disabled, and refuses requests"}
        </Text>
      </Stack>
      {failure !== null && (
        <Alert color="red" variant="outline" role="alert">
          {failure}
        </Alert>
      )}
      <State webhook={webhook} />
      <SimpleGrid cols={{ base: 1, lg: 2 }}>
        <SetUp webhook={webhook} />
        <Keys key={webhook.keys.map(({ createdAt }) => createdAt).join()} webhook={webhook} />
      </SimpleGrid>
      <Confirm
        isOpen={isDeleting}
        onClose={() => setDeleting(false)}
        title={`Delete ${name}?`}
        action="Delete"
        isDangerous
        isBusy={deleting.fetching}
        onConfirm={() => void destroy()}
      >
        Its URL stops working, and events that wait for their message ID are dropped. Recorded events stay.
      </Confirm>
    </Stack>
  );
}

/** What the webhook has received. */
function State({ webhook: { stats } }: { webhook: ProviderWebhookViewFragment }) {
  const figures = [
    { name: "Recorded", value: stats.recorded, of: null },
    { name: "Repeated", value: stats.repeated, of: "Recorded before" },
    { name: "Ignored", value: stats.ignored, of: "Such as delays" },
    { name: "Waiting", value: stats.unmatched, of: "For their message ID" },
    { name: "Dropped", value: stats.dropped, of: "Waited too long" },
    { name: "Unreadable", value: stats.unreadable, of: null },
    { name: "Requests accepted", value: stats.accepted, of: `Last: ${moment(stats.lastAcceptedAt)}` },
    { name: "Requests refused", value: stats.refused, of: `Last: ${moment(stats.lastRefusedAt)}` },
  ];
  return (
    <Panel title="Events">
      <SimpleGrid cols={{ base: 2, sm: 4 }} p="md" pt="xs" spacing="md">
        {figures.map(({ name, value, of }) => (
          <div key={name}>
            <Text size="sm" c="dimmed">
              {name}
            </Text>
            <div className="figure">{count(value)}</div>
            {of && (
              <Text size="xs" c="dimmed">
                {of}
              </Text>
            )}
          </div>
        ))}
      </SimpleGrid>
      {stats.lastRefusal != null && (
        <Alert color="orange" variant="outline" title="Why the last request was refused" m="md" mt={0}>
          {stats.lastRefusal}
        </Alert>
      )}
    </Panel>
  );
}

/** The URL, and the steps at the provider. */
function SetUp({ webhook: { provider, path } }: { webhook: ProviderWebhookViewFragment }) {
  const clipboard = useClipboard();
  const url = path == null ? null : new URL(`${base}${path.slice(1)}`, location.href).href;
  return (
    <Panel title="Set up">
      <Stack p="md" pt="xs">
        {url === null ? (
          <Text size="sm">Only admins see the URL.</Text>
        ) : (
          <div>
            <Text size="sm" fw={500} mb={4}>
              URL
            </Text>
            <Code block className="secret">
              {url}
            </Code>
            <Group mt="xs" gap="sm">
              <Button size="xs" variant="default" onClick={() => clipboard.copy(url)}>
                {clipboard.copied ? "Copied" : "Copy the URL"}
              </Button>
              <Text size="xs" c="dimmed">
                It contains a token. Treat it as a secret.
              </Text>
            </Group>
          </div>
        )}
        <ol className="steps">
          {STEPS[provider].map((step) => (
            <li key={step}>{step}</li>
          ))}
        </ol>
      </Stack>
    </Panel>
  );
}

/** The keys or topics, and a form that replaces them. */
function Keys({ webhook: { id, provider, keys, topicArns } }: { webhook: ProviderWebhookViewFragment }) {
  const { viewer } = useSession();
  // during a rotation, the old key and the new one
  const [secrets, setSecrets] = useState([""]);
  const [failure, setFailure] = useState<string | null>(null);
  const [updating, update] = useMutation(Update);
  const { key } = PROVIDERS[provider];
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const given = secrets.map((secret) => secret.trim()).filter((secret) => secret !== "");
    const input = key === null ? { topicArns: linesOf(given.join("\n")) } : { keys: given };
    const { error } = await update({ input: { id, ...input } });
    setFailure(error ? messageOf(error) : null);
    if (!error) setSecrets([""]);
  };
  return (
    <Panel title={key === null ? "Topics" : "Keys"}>
      <Stack p="md" pt="xs">
        {key === null ? (
          topicArns.map((arn) => (
            <Text key={arn} size="sm" className="secret">
              {arn}
            </Text>
          ))
        ) : (
          <ul className="steps">
            {keys.map(({ hint, createdAt }) => (
              <li key={hint + createdAt}>
                <Code>{hint}</Code> since {moment(createdAt)}
              </li>
            ))}
          </ul>
        )}
        {viewer.isAdmin && (
          <form onSubmit={(event) => void submit(event)}>
            <Stack>
              {failure !== null && (
                <Alert color="red" variant="outline" role="alert">
                  {failure}
                </Alert>
              )}
              {secrets.map((secret, index) => (
                <Secret
                  key={index}
                  provider={provider}
                  value={secret}
                  onChange={(changed) => setSecrets(secrets.with(index, changed))}
                />
              ))}
              <Group>
                <Button
                  type="submit"
                  variant="default"
                  disabled={secrets.every((secret) => secret.trim() === "")}
                  loading={updating.fetching}
                >
                  {key === null ? "Replace the topics" : "Replace the keys"}
                </Button>
                {key !== null && secrets.length < MOST_KEYS && (
                  <Button variant="subtle" onClick={() => setSecrets([...secrets, ""])}>
                    Add a key
                  </Button>
                )}
              </Group>
              {key !== null && (
                <Text size="sm" c="dimmed">
                  These keys replace all keys. To rotate without a gap, give the old key and the new one, change the key
                  at the provider, and then replace both by the new one.
                </Text>
              )}
            </Stack>
          </form>
        )}
      </Stack>
    </Panel>
  );
}
