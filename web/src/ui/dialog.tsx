import { Modal } from "@mantine/core";
import type { ReactNode } from "react";

/** A dialog over the page. */
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
