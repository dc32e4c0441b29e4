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
import { patiently } from "./backoff";
import { report } from "./connection";
import { hasEnded, renew, renewIfEnded } from "./issuer";
import { authorization, isRenewable, token } from "./token";

export const EXPIRED = "Your token is not valid, or it has expired. Sign in again to continue.";

/** A client of the API for a token: operations by HTTP, subscriptions over a socket. */
export interface Connected {
  urql: Client;
  end: () => void;
}

/** Connects with the token of this tab, whichever that is at the time. */
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
    // fails with the close event of a connection that was still being made
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
    ...patiently,
    on: {
      connecting: () => report("page", "connecting"),
      connected: () => report("page", "connected"),
      closed: (event) => {
        const { code } = event as CloseEvent;
        report("page", code === 1000 ? "idle" : "lost");
        // a token that was renewed meanwhile opens the next connection
        if (code === 4403 && !hasEnded(sent)) onEnd(EXPIRED);
      },
    },
  });
}
