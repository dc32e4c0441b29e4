import { Alert, Button, Group, Modal, Select, Stack, Textarea, TextInput } from "@mantine/core";
import { useForm } from "@mantine/form";
import { useNavigate } from "@tanstack/react-router";
import { type RefObject, useEffect, useRef, useState } from "react";
import { useMutation } from "urql";
import { graphql } from "../../__generated__";
import { Dialog } from "../ui/dialog";
import { Discard } from "../ui/discard";
import { messageOf } from "../ui/states";

const Create = graphql(`
  mutation CreateCampaign($input: CreateCampaignInput!) {
    createCampaign(input: $input) { campaign { id name status } }
  }
`);

const Update = graphql(`
  mutation UpdateCampaign($input: UpdateCampaignInput!) {
    updateCampaign(input: $input) { campaign { id name subject body channel metadata } }
  }
`);

/** The editable fields of a campaign. */
export interface Texts {
  id: string;
  name: string;
  subject?: string | null;
  body?: string | null;
  channel: string;
  metadata: unknown;
}

/** A form that creates a campaign, or edits `campaign`. */
export default function CampaignForm({
  campaign,
  isOpen,
  onClose,
}: {
  campaign?: Texts;
  isOpen: boolean;
  onClose: () => void;
}) {
  const isChanged = useRef(false);
  const [isAsked, setAsked] = useState(false);
  const close = () => {
    isChanged.current = false;
    setAsked(false);
    onClose();
  };
  // Escape or a click beside the dialog can be accidental
  const leave = () => (isChanged.current ? setAsked(true) : close());
  return (
    <Modal.Stack>
      <Dialog
        isOpen={isOpen}
        onClose={leave}
        title={campaign ? "Edit campaign" : "New campaign"}
        isWide
      >
        <Fields campaign={campaign} isChanged={isChanged} onLeave={leave} onDone={close} />
      </Dialog>
      <Discard isOpen={isOpen && isAsked} onStay={() => setAsked(false)} onDiscard={close} />
    </Modal.Stack>
  );
}

function Fields({
  campaign,
  isChanged,
  onLeave,
  onDone,
}: {
  campaign?: Texts;
  isChanged: RefObject<boolean>;
  onLeave: () => void;
  onDone: () => void;
}) {
  const navigate = useNavigate();
  const [failure, setFailure] = useState<string | null>(null);
  const [, create] = useMutation(Create);
  const [, update] = useMutation(Update);
  const metadata = JSON.stringify(campaign?.metadata ?? {}, null, 2);
  const form = useForm({
    initialValues: {
      name: campaign?.name ?? "",
      subject: campaign?.subject ?? "",
      body: campaign?.body ?? "",
      channel: campaign?.channel ?? "email",
      metadata,
    },
    validate: {
      name: (name) =>
        name.trim() === "" ? "Enter a name" : name.length > 500 ? "Enter at most 500 characters" : null,
      metadata: (text) => (isObject(text) ? null : "Enter a JSON object, such as { \"season\": \"spring\" }"),
    },
  });

  const isDirty = form.isDirty();
  useEffect(() => {
    isChanged.current = isDirty;
  }, [isChanged, isDirty]);

  const save = form.onSubmit(async (values) => {
    setFailure(null);
    const texts = {
      channel: values.channel,
      name: values.name.trim(),
      subject: values.subject === "" ? null : values.subject,
      body: values.body === "" ? null : values.body,
    };
    // unchanged fields are not sent, since some can no longer be changed once sending has started
    const changed = Object.entries(texts).filter(
      ([name, value]) => (campaign?.[name as keyof Texts] ?? null) !== value,
    );
    const custom = values.metadata === metadata ? {} : { metadata: JSON.parse(values.metadata) as unknown };
    const result = campaign
      ? await update({ input: { id: campaign.id, ...Object.fromEntries(changed), ...custom } })
      : await create({ input: { ...texts, ...custom } });
    if (result.error) {
      const field = result.error.graphQLErrors[0]?.extensions.field;
      const name = typeof field === "string" ? field.replace("input.", "") : "";
      if (name in values) form.setFieldError(name, messageOf(result.error));
      else setFailure(messageOf(result.error));
      return;
    }
    onDone();
    if (result.data && "createCampaign" in result.data) {
      const { id } = result.data.createCampaign.campaign;
      await navigate({ to: "/campaigns/$id", params: { id } });
    }
  });

  return (
    <form onSubmit={save}>
      <Stack>
        {failure !== null && (
          <Alert color="red" variant="outline" role="alert">
            {failure}
          </Alert>
        )}
        <TextInput label="Name" required data-autofocus {...form.getInputProps("name")} />
        <TextInput label="Subject" {...form.getInputProps("subject")} />
        <Select
          label="Channel"
          data={[...new Set(["email", "sms", "push", form.values.channel])]}
          allowDeselect={false}
          {...form.getInputProps("channel")}
        />
        <Textarea label="Message" autosize minRows={5} maxRows={14} {...form.getInputProps("body")} />
        <Textarea
          label="Custom data"
          description="A JSON object that is stored with the campaign, for use by your own programs."
          autosize
          maxRows={10}
          spellCheck={false}
          {...form.getInputProps("metadata")}
        />
        <Group justify="end">
          <Button variant="default" onClick={onLeave}>
            Cancel
          </Button>
          <Button type="submit" loading={form.submitting}>
            {campaign ? "Save" : "Create"}
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}
