import { Button, Group, Stack, Text } from "@mantine/core";
import { useState } from "react";
import { Dialog } from "./dialog";

/** Asks before what was typed is lost. */
export function Discard({
  isOpen,
  onStay,
  onDiscard,
}: {
  isOpen: boolean;
  onStay: () => void;
  /** Called when the question is gone: what it is about may be a dialog, which then gives the focus back. */
  onDiscard: () => void;
}) {
  const [isDiscarded, setDiscarded] = useState(false);
  const closed = () => {
    if (isDiscarded) onDiscard();
    setDiscarded(false);
  };
  return (
    <Dialog isOpen={isOpen && !isDiscarded} onClose={onStay} onClosed={closed} title="Discard your changes?">
      <Stack>
        <Text>What you have changed here is not saved.</Text>
        <Group justify="end">
          <Button variant="default" onClick={() => setDiscarded(true)}>
            Discard
          </Button>
          <Button onClick={onStay} data-autofocus>
            Keep editing
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
