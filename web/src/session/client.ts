import { type Client as Socket, createClient as createSocket } from "graphql-ws";
import { cacheExchange, Client, fetchExchange, mapExchange, subscriptionExchange } from "urql";

/** How the live connection is. */
export type Connection = "idle" | "connecting" | "connected" | "lost";

const EXPIRED = "Your token is not valid, or it has expired. Sign in again to continue.";

/** How long a page waits before it connects again, give or take a half. */
const LONGEST_WAIT = 15_000;

/** A client of the API for a token: operations by HTTP, subscriptions over a socket. */
export interface Connected {
  urql: Client;
  end: () => void;
}

let connection: Connection = "idle";
const listeners = new Set<() => void>();

/** The state of the live connection, for `useSyncExternalStore`. */
export const liveConnection = {
  get: () => connection,
  subscribe: (listener: () => void) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  },
};

function become(next: Connection) {
  connection = next;
  for (const listener of listeners) listener();
}

export function connect(token: string, onEnd: (why: string) => void): Connected {
  const authorization = { Authorization: `Bearer ${token}` };
  const socket = openSocket(authorization, onEnd);
  const urql = new Client({
    url: "/graphql",
    preferGetMethod: false,
    fetchOptions: { headers: authorization },
    exchanges: [
      mapExchange({
        onError: (error) => {
          const isRefused =
            (error.response as Response | undefined)?.status === 401 ||
            error.graphQLErrors.some(({ extensions }) => extensions.code === "UNAUTHENTICATED");
          if (isRefused) onEnd(EXPIRED);
        },
      }),
      cacheExchange,
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query, variables }) => ({
          subscribe: (sink) => ({
            unsubscribe: socket.subscribe({ query: query ?? "", variables: variables as Record<string, unknown> }, sink),
          }),
        }),
      }),
    ],
  });
  return { urql, end: () => void socket.dispose() };
}

function openSocket(authorization: Record<string, string>, onEnd: (why: string) => void): Socket {
  const url = new URL("/graphql", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  return createSocket({
    url: url.href,
    connectionParams: authorization,
    // the page says that the connection is lost for as long as it is
    retryAttempts: Number.MAX_SAFE_INTEGER,
    shouldRetry: () => true,
    retryWait: (retries) => {
      // pages that were cut off together do not come back together
      const wait = Math.min(1_000 * 2 ** retries, LONGEST_WAIT) * (0.5 + Math.random());
      return new Promise((resolve) => setTimeout(resolve, wait));
    },
    on: {
      connecting: () => become("connecting"),
      connected: () => become("connected"),
      closed: (event) => {
        const { code } = event as CloseEvent;
        become(code === 1000 ? "idle" : "lost");
        if (code === 4403) onEnd(EXPIRED);
      },
    },
  });
}
