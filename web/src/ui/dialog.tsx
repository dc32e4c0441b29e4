import { Modal } from "@mantine/core";
import { type ReactNode, useId } from "react";

/** A dialog over the page. Dialogs over dialogs stand in a `Modal.Stack`, so that Escape closes the top one alone. */
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
      // the page has one banner, and this is not it
      attributes={{ header: { role: "presentation" } }}
    >
      {children}
    </Modal>
  );
}
