import { Button } from "@mantine/core";
import { useState } from "react";
import { useMutation } from "urql";
import { graphql } from "../../__generated__";
import { Confirm } from "../ui/confirm";
import { messageOf } from "../ui/states";

const Record = graphql(`
  mutation RecordUnsubscribe($sendId: ID!) {
    recordEvents(input: [{ sendId: $sendId, type: UNSUBSCRIBE }]) { recorded }
  }
`);

/** Records that a contact asked, by telephone perhaps, not to be sent anything more. */
export function Unsubscribe({
  name,
  send,
  onDone,
}: {
  name: string;
  send: { id: string; campaign: { name: string } };
  onDone: (failure: string | null) => void;
}) {
  const [isAsked, setAsked] = useState(false);
  const [{ fetching }, record] = useMutation(Record);
  const save = async () => {
    const { error } = await record({ sendId: send.id });
    setAsked(false);
    onDone(error ? messageOf(error) : null);
  };
  return (
    <>
      <Button size="xs" variant="default" onClick={() => setAsked(true)}>
        Unsubscribe
      </Button>
      <Confirm
        isOpen={isAsked}
        onClose={() => setAsked(false)}
        title={`Unsubscribe ${name}?`}
        action="Unsubscribe"
        isBusy={fetching}
        onConfirm={save}
      >
        Nothing more is sent to this contact. The event is recorded with the latest send, of the campaign{" "}
        {send.campaign.name}.
      </Confirm>
    </>
  );
}
