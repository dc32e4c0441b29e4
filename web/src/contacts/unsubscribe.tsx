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

/** Records an unsubscribe that a contact requested in another way, such as by telephone. */
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
        No more messages are sent to this contact. The unsubscribe is recorded for the latest send, of the campaign{" "}
        {send.campaign.name}.
      </Confirm>
    </>
  );
}
