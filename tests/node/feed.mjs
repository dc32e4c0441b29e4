// Followers of the live feed whose connections keep being cut, one half on graphql-ws itself, the other on
// Apollo Client over it. Each goes on, at any of the addresses, after the last cursor that it saw.
//
// $URLS are the ws:// addresses, separated by commas, some of them perhaps down; $TOKEN opens them all. $CLIENTS
// follow from the cursor $AFTER on, or from now; a connection lives $CUT milliseconds on average, for ever at 0. One in
// four counts them from its opening, the others from their first event, so that they make progress on a slow machine.
//
// Prints "ready" when all have subscribed. A line "expect N" on standard input says how many events each is to
// receive in all; the answer is one line of JSON with the ids that each did receive, in order, when all have them
// or nothing has come for a minute. Until then, a line "going on" comes now and then. What the service
// must never do to a follower ends the program at once, with the reason on standard error and exit 1.
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { ApolloClient, CombinedGraphQLErrors, InMemoryCache, gql } from "@apollo/client";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

// Apollo's link asks the global one whether a connection failed; Node has it from version 22 on
globalThis.WebSocket ??= WebSocket;

const { URLS, TOKEN, CLIENTS = 6, AFTER, CUT = 300 } = process.env;
const urls = URLS.split(",");

const query = `subscription($after: String) {
  engagementEvents(after: $after) { cursor node { id occurredAt } }
}`;

// how long nothing comes before it gives up; a machine under load takes long for all of it
const PATIENCE = 60_000;

// how long a connection waits for its first event before it is cut all the same
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

// graphql-ws connects again by itself and writes the request anew each time, so it goes on from the cursor that
// stands there then. Apollo keeps a copy of the variables; with it, each connection is a subscription of its own,
// and past the cache, in which the cost of an event grows with the number of those before it.
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

// One client, from its first connection until it is disposed of or gives up.
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
      // leaving, restarting and dying are a server's right; every other code is a complaint about the client
      closed: ({ code, reason }) => [1000, 1001, 1005, 1006, 1013].includes(code) || fail("closed with", code, reason),
    },
  });

  function cut(socket) {
    if (socket.readyState !== WebSocket.OPEN) return;
    if (Math.random() < 0.75) return socket.terminate();
    over = true;
    // it rejects where the connection fails before it could be closed, which comes to the same
    client.dispose().catch(() => {});
  }

  return new Promise((end) => {
    subscribe(client, request, {
      // an error is an array in graphql-ws; Apollo wraps it, and hands a lost connection over in the same place
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
// the subscribe is on its way by now; this lets it arrive
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
  // duplicates would arrive now
  await sleep(500);
  process.stdout.write(`${JSON.stringify({ clients: followers })}\n`, () => process.exit(0));
}
fail("no line on standard input");
