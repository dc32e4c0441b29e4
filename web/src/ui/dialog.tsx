import { Modal } from "@mantine/core";
import { type ReactNode, useId } from "react";

/** A modal dialog. Put nested dialogs into a `Modal.Stack`, so that Escape closes only the top one. */
export function Dialog({
  title,
  isOpen,
  onClose,
  isWide = false,
  children,
}: {
  title: string;
  isOpen: boolean;
  onClose: () => void;
  isWide?: boolean;
  children: ReactNode;
}) {
  return (
    <Modal
      stackId={useId()}
      opened={isOpen}
      onClose={onClose}
      title={title}
      size={isWide ? "lg" : "md"}
      closeButtonProps={{ "aria-label": "Close" }}
      // otherwise the header would be a second banner landmark
      attributes={{ header: { role: "presentation" } }}
    >
      {children}
    </Modal>
  );
}
