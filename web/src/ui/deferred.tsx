import { type ReactNode, useDeferredValue } from "react";

/**
 * Draws its content after the surrounding content, so that the page stays responsive in between. A nested
 * one is drawn after the outer one.
 */
export function Deferred({ children }: { children: ReactNode }) {
  const isTime = useDeferredValue(true, false);
  return isTime && children;
}
