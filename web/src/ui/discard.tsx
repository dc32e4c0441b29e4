import { Button, Group, Stack, Text } from "@mantine/core";
import { Dialog } from "./dialog";

/** Asks before unsaved changes are lost. */
export function Discard({
  isOpen,
  onStay,
  onDiscard,
}: {
  isOpen: boolean;
  onStay: () => void;
  onDiscard: () => void;
}) {
  return (
    <Dialog isOpen={isOpen} onClose={onStay} title="Discard your changes?">
      <Stack>
        <Text>Your changes are not saved.</Text>
        <Group justify="end">
          <Button variant="default" onClick={onDiscard}>
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
