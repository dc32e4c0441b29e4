/** The state of a live connection. */
export type Connection = "idle" | "connecting" | "connected" | "lost";

/** The code with which the service closes a socket whose token is invalid or has expired. */
export const FORBIDDEN = 4403;

/** The owner of a connection: the page, for the subscriptions of its views, or the worker of the live feed. */
type Holder = "page" | "feed";

const connections = new Map<Holder, Connection>();
const listeners = new Set<() => void>();

/** Reports the state of a connection. */
export function report(holder: Holder, connection: Connection): void {
  connections.set(holder, connection);
  for (const listener of listeners) listener();
}

/** The state of the view's open connection, for `useSyncExternalStore`. */
export const liveConnection = {
  get: (): Connection => [...connections.values()].find((connection) => connection !== "idle") ?? "idle",
  subscribe: (listener: () => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};
