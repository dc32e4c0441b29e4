import { Alert, Button, Group, Stack, Text, TextInput } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { type CombinedError, useMutation } from "urql";
import { graphql } from "../../__generated__";
import type { CampaignStep } from "../../__generated__/graphql";
import { useSession } from "../session/session";
import { Confirm } from "../ui/confirm";
import { Dialog } from "../ui/dialog";
import { count } from "../ui/format";
import { messageOf } from "../ui/states";
import CampaignForm, { type Texts } from "./form";

const Schedule = graphql(`
  mutation ScheduleCampaign($id: ID!, $at: DateTime!) {
    scheduleCampaign(id: $id, at: $at) { campaign { id status scheduledAt } }
  }
`);
const Unschedule = graphql(`
  mutation UnscheduleCampaign($id: ID!) { unscheduleCampaign(id: $id) { campaign { id status scheduledAt } } }
`);
const Start = graphql(`
  mutation StartCampaign($id: ID!) { startCampaign(id: $id) { campaign { id status } } }
`);
const Pause = graphql(`
  mutation PauseCampaign($id: ID!) { pauseCampaign(id: $id) { campaign { id status } } }
`);
const Resume = graphql(`
  mutation ResumeCampaign($id: ID!) { resumeCampaign(id: $id) { campaign { id status } } }
`);
const Cancel = graphql(`
  mutation CancelCampaign($id: ID!) { cancelCampaign(id: $id) { campaign { id status } } }
`);
const Complete = graphql(`
  mutation CompleteCampaign($id: ID!) { completeCampaign(id: $id) { campaign { id status sentAt } } }
`);
const Duplicate = graphql(`
  mutation DuplicateCampaign($id: ID!) { duplicateCampaign(id: $id) { campaign { id name } } }
`);
const Delete = graphql(`
  mutation DeleteCampaign($id: ID!) { deleteCampaign(id: $id) { id } }
`);

interface Outcome {
  error?: CombinedError | undefined;
}

/** The actions on a campaign that are available to the viewer. */
export function Lifecycle({
  campaign,
  onChange,
}: {
  campaign: Texts & { availableSteps: CampaignStep[]; stats: { queued: number } };
  onChange: () => void;
}) {
  const { viewer } = useSession();
  const navigate = useNavigate();
  const [failure, setFailure] = useState<string | null>(null);
  const [isEditing, editing] = useDisclosure();
  const [isScheduling, scheduling] = useDisclosure();
  const [asked, setAsked] = useState<"start" | "resume" | "complete" | "cancel" | "delete" | null>(null);
  const [unscheduled, unschedule] = useMutation(Unschedule);
  const [started, start] = useMutation(Start);
  const [paused, pause] = useMutation(Pause);
  const [resumed, resume] = useMutation(Resume);
  const [canceled, cancel] = useMutation(Cancel);
  const [completed, complete] = useMutation(Complete);
  const [duplicated, duplicate] = useMutation(Duplicate);
  const [deleted, remove] = useMutation(Delete);

  const { id, name } = campaign;
  const { queued } = campaign.stats;
  const may = (step: CampaignStep) => campaign.availableSteps.includes(step);
  const settle = ({ error }: Outcome) => {
    setFailure(error ? messageOf(error) : null);
    setAsked(null);
    // another user may have changed the status
    onChange();
  };
  const copy = async () => {
    const { data, error } = await duplicate({ id });
    if (data) await navigate({ to: "/campaigns/$id", params: { id: data.duplicateCampaign.campaign.id } });
    else settle({ error });
  };
  const destroy = async () => {
    const { error } = await remove({ id });
    if (error) settle({ error });
    else await navigate({ to: "/" });
  };

  return (
    <Stack gap="xs">
      <Group gap="xs" role="group" aria-label="Actions">
        {may("START") && (
          <Button size="xs" onClick={() => setAsked("start")}>
            Start
          </Button>
        )}
        {may("RESUME") && (
          <Button size="xs" onClick={() => setAsked("resume")}>
            Resume
          </Button>
        )}
        {may("SCHEDULE") && (
          <Button size="xs" variant="default" onClick={scheduling.open}>
            Schedule
          </Button>
        )}
        {may("UNSCHEDULE") && (
          <Button
            size="xs"
            variant="default"
            loading={unscheduled.fetching}
            onClick={async () => settle(await unschedule({ id }))}
          >
            Unschedule
          </Button>
        )}
        {may("PAUSE") && (
          <Button
            size="xs"
            variant="default"
            loading={paused.fetching}
            onClick={async () => settle(await pause({ id }))}
          >
            Pause
          </Button>
        )}
        {may("COMPLETE") && (
          <Button size="xs" variant="default" onClick={() => setAsked("complete")}>
            Complete
          </Button>
        )}
        <Button size="xs" variant="default" onClick={editing.open}>
          Edit
        </Button>
        <Button size="xs" variant="default" loading={duplicated.fetching} onClick={copy}>
          Duplicate
        </Button>
        {may("CANCEL") && (
          <Button size="xs" variant="default" onClick={() => setAsked("cancel")}>
            Cancel campaign
          </Button>
        )}
        {viewer.isAdmin && (
          <Button size="xs" variant="default" c="var(--mantine-color-error)" onClick={() => setAsked("delete")}>
            Delete
          </Button>
        )}
      </Group>
      {failure !== null && (
        <Alert
          color="red"
          variant="outline"
          role="alert"
          withCloseButton
          closeButtonLabel="Dismiss"
          onClose={() => setFailure(null)}
        >
          {failure}
        </Alert>
      )}
      <CampaignForm campaign={campaign} isOpen={isEditing} onClose={editing.close} />
      <ScheduleForm id={id} isOpen={isScheduling} onClose={scheduling.close} onChange={onChange} />
      <Confirm
        isOpen={asked === "start"}
        onClose={() => setAsked(null)}
        title={`Start ${name}?`}
        action="Start"
        isBusy={started.fetching}
        onConfirm={async () => settle(await start({ id }))}
      >
        This queues a send for each contact on the campaign’s list, except suppressed contacts.
      </Confirm>
      <Confirm
        isOpen={asked === "resume"}
        onClose={() => setAsked(null)}
        title={`Resume ${name}?`}
        action="Resume"
        isBusy={resumed.fetching}
        onConfirm={async () => settle(await resume({ id }))}
      >
        {count(queued)} sends are queued and can be delivered immediately.
      </Confirm>
      <Confirm
        isOpen={asked === "complete"}
        onClose={() => setAsked(null)}
        title={`Complete ${name}?`}
        action="Complete"
        isBusy={completed.fetching}
        onConfirm={async () => settle(await complete({ id }))}
      >
        This changes the campaign’s status to Sent. It cannot be undone. {count(queued)} sends are still queued.
      </Confirm>
      <Confirm
        isOpen={asked === "cancel"}
        onClose={() => setAsked(null)}
        title={`Cancel ${name}?`}
        action="Cancel campaign"
        isBusy={canceled.fetching}
        onConfirm={async () => settle(await cancel({ id }))}
      >
        A canceled campaign cannot be restarted. Its sends do not change.
      </Confirm>
      <Confirm
        isOpen={asked === "delete"}
        onClose={() => setAsked(null)}
        title={`Delete ${name}?`}
        action="Delete"
        isDangerous
        isBusy={deleted.fetching}
        onConfirm={destroy}
      >
        This deletes the campaign, its list, its sends and all of their events. It cannot be undone.
      </Confirm>
    </Stack>
  );
}

function ScheduleForm({
  id,
  isOpen,
  onClose,
  onChange,
}: {
  id: string;
  isOpen: boolean;
  onClose: () => void;
  onChange: () => void;
}) {
  const [at, setAt] = useState("");
  const [failure, setFailure] = useState<string | null>(null);
  const [{ fetching }, schedule] = useMutation(Schedule);
  return (
    <Dialog
      isOpen={isOpen}
      onClose={onClose}
      title="Schedule campaign"
    >
      <form
        onSubmit={async (event) => {
          event.preventDefault();
          const { error } = await schedule({ id, at: new Date(at).toISOString() });
          setFailure(error ? messageOf(error) : null);
          if (error) return;
          onClose();
          onChange();
        }}
      >
        <Stack>
          <TextInput
            type="datetime-local"
            label="Start at"
            description="In this device's time zone."
            required
            value={at}
            onChange={({ currentTarget }) => setAt(currentTarget.value)}
            error={failure}
            data-autofocus
          />
          <Text size="sm" c="dimmed">
            A worker starts the campaign at that time.
          </Text>
          <Group justify="end">
            <Button variant="default" onClick={onClose}>
              Back
            </Button>
            <Button type="submit" loading={fetching} disabled={at === ""}>
              Schedule
            </Button>
          </Group>
        </Stack>
      </form>
    </Dialog>
  );
}
