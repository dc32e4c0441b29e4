/** How a live connection is. */
export type Connection = "idle" | "connecting" | "connected" | "lost";

/** Who has a connection: the page itself, for what a view follows, and the worker of the live feed. */
type Holder = "page" | "feed";

const connections = new Map<Holder, Connection>();
const listeners = new Set<() => void>();

/** Tells how a connection is now. */
export function report(holder: Holder, connection: Connection): void {
  connections.set(holder, connection);
  for (const listener of listeners) listener();
}

/** How the connection is that a view has open, for `useSyncExternalStore`. */
export const liveConnection = {
  get: (): Connection => [...connections.values()].find((connection) => connection !== "idle") ?? "idle",
  subscribe: (listener: () => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};
