import { useEffect } from "react";

const PAUSE = 5_000;

/** Calls `reload` every few seconds while the page is in view. */
export function useReloads(reload: () => void): void {
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") reload();
    }, PAUSE);
    return () => clearInterval(timer);
  }, [reload]);
}
