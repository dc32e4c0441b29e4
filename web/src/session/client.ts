import { authExchange } from "@urql/exchange-auth";
import { type Client as Socket, createClient as createSocket } from "graphql-ws";
import {
  cacheExchange,
  Client,
  type CombinedError,
  fetchExchange,
  mapExchange,
  subscriptionExchange,
} from "urql";
import { api, socketAddress } from "../base";
import { reconnecting } from "./backoff";
import { FORBIDDEN, report } from "./connection";
import { hasEnded, renew, renewIfEnded } from "./issuer";
import { authorization, isRenewable, token } from "./token";

export const EXPIRED = "Your token is not valid, or it has expired. Sign in again to continue.";

/** An API client for a token: queries and mutations by HTTP, subscriptions over a WebSocket. */
export interface Connected {
  urql: Client;
  end: () => void;
}

/** Creates a client that uses the current token of this tab. */
export function connect(onEnd: (why: string) => void): Connected {
  const socket = openSocket(onEnd);
  const urql = new Client({
    url: api,
    preferGetMethod: false,
    exchanges: [
      mapExchange({ onError: (error) => isRefused(error) && onEnd(EXPIRED) }),
      cacheExchange,
      authExchange(({ appendHeaders }) =>
        Promise.resolve({
          addAuthToOperation: (operation) => appendHeaders(operation, authorization()),
          willAuthError: () => hasEnded(token()),
          didAuthError: (error) => isRenewable() && isRefused(error),
          refreshAuth: async () => void (await renew()),
        }),
      ),
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
  const end = () => {
    // rejects with the close event if the connection was still being established
    Promise.resolve(socket.dispose()).catch(() => {});
  };
  return { urql, end };
}

function isRefused(error: CombinedError): boolean {
  return (
    (error.response as Response | undefined)?.status === 401 ||
    error.graphQLErrors.some(({ extensions }) => extensions.code === "UNAUTHENTICATED")
  );
}

function openSocket(onEnd: (why: string) => void): Socket {
  let sent = token();
  return createSocket({
    url: socketAddress(),
    connectionParams: async () => {
      await renewIfEnded();
      sent = token();
      return authorization();
    },
    ...reconnecting,
    on: {
      connecting: () => report("page", "connecting"),
      connected: () => report("page", "connected"),
      closed: (event) => {
        const { code } = event as CloseEvent;
        report("page", code === 1000 ? "idle" : "lost");
        // if the token was renewed meanwhile, the next connection uses the new one
        if (code === FORBIDDEN && !hasEnded(sent)) onEnd(EXPIRED);
      },
    },
  });
}
