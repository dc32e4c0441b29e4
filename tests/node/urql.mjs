// urql with its exchange for persisted queries, its normalized cache with Relay's pagination, and subscriptions over
// graphql-ws. ADDRESS is the service, TOKEN an admin's token, MEMBER a member's. With MANIFEST, prints its documents
// by their hash, and exits. With KNOWN, the service knows these documents.

import assert from "node:assert/strict";
import { Client, fetchExchange, formatDocument, gql, stringifyDocument, subscriptionExchange } from "@urql/core";
import { cacheExchange } from "@urql/exchange-graphcache";
import { relayPagination } from "@urql/exchange-graphcache/extras";
import { persistedExchange } from "@urql/exchange-persisted";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { click, DELETE, DRAFT, DRAFTS, FEED, feedCursor, KNOWN, MEMBER, NAMES, NODE, PAGE, RENAME, recorded, sha256, TOKEN, url, wasPersisted } from "./documents.mjs";

if (process.env.MANIFEST) {
  const sent = [DRAFTS, DRAFT, NODE].map((text) => stringifyDocument(formatDocument(gql(text))));
  console.log(JSON.stringify(Object.fromEntries(sent.map((text) => [sha256(text), text]))));
  process.exit(0);
}

const { send, taken } = recorded();
const socket = createClient({
  url: url.replace("http", "ws"),
  webSocketImpl: WebSocket,
  connectionParams: { Authorization: `Bearer ${TOKEN}` },
});
const connect = (token, preferGetForPersistedQueries) =>
  new Client({
    url,
    fetch: send,
    preferGetMethod: false,
    fetchOptions: { headers: { Authorization: `Bearer ${token}` } },
    exchanges: [
      cacheExchange({
        resolvers: {
          Query: {
            campaigns: relayPagination(),
            campaign: (_, { id }) => ({ __typename: "Campaign", id }),
          },
        },
        keys: { CampaignConnection: () => null, CampaignEdge: () => null, PageInfo: () => null },
      }),
      persistedExchange({ preferGetForPersistedQueries }),
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query, variables }) => ({
          subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
        }),
      }),
    ],
  });
const succeeded = async (asked) => {
  const { data, error } = await asked;
  assert.equal(error, undefined, String(error));
  return data;
};
const names = ({ campaigns }) => campaigns.edges.map(({ node }) => node.name);

for (const byGet of [false, true]) {
  const client = connect(TOKEN, byGet);
  const first = await succeeded(client.query(DRAFTS, { first: PAGE }));
  const requests = taken();
  wasPersisted(requests);
  assert.equal(requests[0].method, byGet ? "GET" : "POST");
  assert.deepEqual(names(first), NAMES.slice(0, PAGE));

  // pages are appended to the list, in order and once each
  let all = first;
  while (all.campaigns.pageInfo.hasNextPage) {
    const after = all.campaigns.pageInfo.endCursor;
    all = await succeeded(client.query(DRAFTS, { first: PAGE, after }));
  }
  assert.deepEqual(names(all), NAMES);
  assert.ok(taken().every(({ isWhole }) => isWhole !== Boolean(KNOWN)));

  // a new name appears everywhere, without another request
  const { id } = all.campaigns.edges[0].node;
  await succeeded(client.mutation(RENAME, { input: { id, name: "Draft 00" } }));
  taken();
  const cached = await succeeded(client.query(DRAFTS, { first: PAGE }));
  assert.equal(cached.campaigns.edges.find(({ node }) => node.id === id).node.name, "Draft 00");
  assert.deepEqual(taken(), []);
  const { node } = await succeeded(client.query(NODE, { id }));
  assert.deepEqual([node.__typename, node.name], ["Campaign", "Draft 00"]);
  const { campaign } = await succeeded(client.query(DRAFT, { id }));
  assert.deepEqual([campaign.name, campaign.status], ["Draft 00", "DRAFT"]);
  await succeeded(client.mutation(RENAME, { input: { id, name: NAMES[0] } }));

  // errors have their codes
  const wrong = await client.query(DRAFTS, { first: 1, after: "nonsense" });
  const { code, field } = wrong.error.graphQLErrors[0].extensions;
  assert.deepEqual([code, field], ["BAD_USER_INPUT", "after"]);
  const forbidden = await connect(MEMBER, byGet).mutation(DELETE, { id });
  assert.equal(forbidden.error.graphQLErrors[0].extensions.code, "FORBIDDEN");
  taken();
}

// events arrive over the socket, in order
const after = await feedCursor();
const heard = [];
await new Promise((resolve, reject) => {
  const subscription = connect(TOKEN, false).subscription(FEED, { after }).subscribe(({ data, error }) => {
    if (error) return reject(error);
    heard.push(data.engagementEvents.node.url);
    if (heard.length === 3) resolve(subscription.unsubscribe());
  });
  const act = async () => {
    for (const item of ["a", "b", "c"]) await click(`https://${item}.example/`);
  };
  act().catch(reject);
});
assert.deepEqual(heard, ["https://a.example/", "https://b.example/", "https://c.example/"]);
await socket.dispose();
console.log("done");
