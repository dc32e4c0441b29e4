import { type ReactNode, useDeferredValue } from "react";

/**
 * Draws its content after what is around it, in pieces, so that the page responds in between. Within
 * another one, it waits for that.
 */
export function Afterwards({ children }: { children: ReactNode }) {
  const isTime = useDeferredValue(true, false);
  return isTime && children;
}
