// Followers of the live feed whose connections are cut repeatedly: one half uses graphql-ws directly, the other
// Apollo Client with graphql-ws. Each continues after its last cursor, at any of the addresses.
//
// $URLS are the ws:// addresses, separated by commas, some of which can be down. $TOKEN is valid for all of them.
// $CLIENTS is the number of followers, which start after the cursor $AFTER or now. A connection is cut after $CUT
// milliseconds on average, or never at 0. A fourth of the followers count from the opening of a connection, the
// others from its first event, so that they make progress on a slow machine.
//
// Prints "ready" when all have subscribed. A line "expect N" on standard input sets the number of events that each
// should receive. The response is one line of JSON with the IDs that each has received, in order, once all have them
// or none has arrived for a minute. Until then, it prints "going on" from time to time. If the service does something
// that a follower must never see, the program ends at once, with the reason on standard error and exit code 1.
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { ApolloClient, CombinedGraphQLErrors, InMemoryCache, gql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

// Apollo's link checks for the global WebSocket, which Node has since version 22
globalThis.WebSocket ??= WebSocket;

const { URLS, TOKEN, CLIENTS = 6, AFTER, CUT = 300 } = process.env;
const urls = URLS.split(",");

const query = `subscription($after: String) {
  engagementEvents(after: $after) { cursor node { id occurredAt } }
}`;

// how long it waits without an event, on a busy machine
const PATIENCE = 60_000;

// how long a connection waits for its first event before it is cut anyway
const IDLE = 10_000;

const pause = () => sleep(20 + 80 * Math.random());

function fail(...reasons) {
  console.error(...reasons);
  process.exit(1);
}

async function until(condition) {
  while (!condition()) await sleep(20);
}

async function now() {
  const response = await fetch(urls[0].replace(/^ws/, "http"), {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" },
    body: JSON.stringify({ query: "{ feedCursor }" }),
  });
  const { data, errors } = await response.json();
  return errors ? fail("feedCursor:", errors) : data.feedCursor;
}

class PatientSocket extends WebSocket {
  constructor(address, protocols) {
    super(address, protocols, { handshakeTimeout: 5_000 });
  }
}

// graphql-ws reconnects by itself and serializes the request each time, so it continues from the current cursor.
// Apollo copies the variables, so each connection is a separate subscription. It bypasses the cache, in which the
// cost of an event grows with the number of previous events.
const kinds = {
  "graphql-ws": {
    retryAttempts: Infinity,
    subscribe: (client, request, sink) => client.subscribe(request, sink),
  },
  apollo: {
    retryAttempts: 0,
    subscribe: (client, { query, variables }, sink) =>
      new ApolloClient({ link: new GraphQLWsLink(client), cache: new InMemoryCache() })
        .subscribe({ query: gql(query), variables, fetchPolicy: "no-cache" })
        .subscribe(sink),
  },
};

// One client, from its first connection until it is disposed of or fails.
function live(follower, request) {
  const { retryAttempts, subscribe } = kinds[follower.kind];
  let over = false;
  let count = () => {};

  const client = createClient({
    url: () => urls[Math.floor(Math.random() * urls.length)],
    connectionParams: { Authorization: `Bearer ${TOKEN}` },
    webSocketImpl: PatientSocket,
    retryAttempts,
    retryWait: pause,
    shouldRetry: () => true,
    on: {
      opened: (socket) => {
        let isCounting = false;
        count = () => {
          if (isCounting || !(CUT > 0)) return;
          isCounting = true;
          setTimeout(cut, 2 * CUT * Math.random(), socket);
        };
        if (Math.random() < 0.25) count();
        else setTimeout(count, IDLE);
      },
      connected: () => follower.connections++,
      // a server can stop, restart and crash; every other code is an error of the client
      closed: ({ code, reason }) => [1000, 1001, 1005, 1006, 1013].includes(code) || fail("closed with", code, reason),
    },
  });

  function cut(socket) {
    if (socket.readyState !== WebSocket.OPEN) return;
    if (Math.random() < 0.75) return socket.terminate();
    over = true;
    // it rejects if the connection fails before it is closed, which is the same here
    client.dispose().catch(() => {});
  }

  return new Promise((end) => {
    subscribe(client, request, {
      // graphql-ws reports an error as an array; Apollo wraps it, and reports a lost connection in the same way
      next({ data, errors, error = errors }) {
        if (Array.isArray(error) || CombinedGraphQLErrors.is(error)) fail(follower.kind, error);
        if (error) return (over = true);
        const { cursor, node } = data.engagementEvents;
        follower.ids.push(node.id);
        request.variables.after = cursor;
        count();
      },
      error: (error) => (Array.isArray(error) ? fail(follower.kind, error) : end()),
      complete: () => (over ? end() : fail(follower.kind, "the service completed a subscription that has no end")),
    });
  });
}

async function follow(follower, after) {
  const request = { query, variables: { after } };
  for (;; await pause()) await live(follower, request);
}

const after = AFTER || (await now());
const followers = Array.from({ length: Number(CLIENTS) }, (_, i) => ({
  kind: Object.keys(kinds)[i % 2],
  ids: [],
  connections: 0,
}));
for (const follower of followers) follow(follower, after);

await until(() => followers.every(({ connections }) => connections > 0));
// gives the subscribe message time to arrive
await sleep(200);
console.log("ready");

for await (const line of createInterface({ input: process.stdin })) {
  const [, expected] = line.match(/^expect (\d+)$/) ?? fail("not understood:", line);
  const counts = () => followers.reduce((sum, { ids }) => sum + ids.length, 0);
  let [had, since, said] = [counts(), Date.now(), Date.now()];
  await until(() => {
    const now = Date.now();
    if (counts() > had) [had, since] = [counts(), now];
    if (now - said > 10_000) {
      said = now;
      console.log("going on");
    }
    return followers.every(({ ids }) => ids.length >= expected) || now - since > PATIENCE;
  });
  // gives duplicates time to arrive
  await sleep(500);
  process.stdout.write(`${JSON.stringify({ clients: followers })}\n`, () => process.exit(0));
}
fail("no line on standard input");
