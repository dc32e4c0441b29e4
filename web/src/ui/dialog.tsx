import { Modal } from "@mantine/core";
import { type ReactNode, useRef } from "react";

/** A dialog over the page. */
export function Dialog({
  title,
  isOpen,
  onClose,
  onClosed,
  isWide = false,
  children,
}: {
  title: string;
  isOpen: boolean;
  onClose: () => void;
  /** Called when it is gone, and has given the focus back. */
  onClosed?: () => void;
  isWide?: boolean;
  children: ReactNode;
}) {
  // where the focus was: Mantine gives it back only to dialogs that were there before they opened
  const opener = useRef<Element | null>(null);
  const wasOpen = useRef(false);
  if (isOpen && !wasOpen.current) opener.current = document.activeElement;
  wasOpen.current = isOpen;
  const giveBack = () => {
    onClosed?.();
    const focus = document.activeElement;
    const isLost = focus === null || focus === document.body || focus.closest('[role="dialog"]') !== null;
    if (isLost && opener.current instanceof HTMLElement) opener.current.focus();
  };
  return (
    <Modal
      opened={isOpen}
      onClose={onClose}
      onExitTransitionEnd={giveBack}
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
