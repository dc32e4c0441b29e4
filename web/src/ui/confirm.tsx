import { Button, Group, Stack, Text } from "@mantine/core";
import type { ReactNode } from "react";
import { Dialog } from "./dialog";

/** Asks before an action that is hard to undo. */
export function Confirm({
  isOpen,
  onClose,
  title,
  action,
  isDangerous = false,
  isBusy,
  onConfirm,
  children,
}: {
  isOpen: boolean;
  onClose: () => void;
  title: string;
  action: string;
  isDangerous?: boolean;
  isBusy: boolean;
  onConfirm: () => void;
  children: ReactNode;
}) {
  return (
    <Dialog isOpen={isOpen} onClose={onClose} title={title}>
      <Stack>
        <Text>{children}</Text>
        <Group justify="end">
          <Button variant="default" onClick={onClose}>
            Back
          </Button>
          <Button color={isDangerous ? "red.8" : undefined} loading={isBusy} onClick={onConfirm}>
            {action}
          </Button>
        </Group>
      </Stack>
    </Dialog>
  );
}
