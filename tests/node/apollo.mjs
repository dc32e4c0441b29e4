// Apollo Client with automatic persisted queries, its normalized cache and its pagination. ADDRESS is the service,
// TOKEN an admin's token, MEMBER a member's. With MANIFEST, prints its documents by their hash, and exits. With
// KNOWN, the service knows these documents.

import assert from "node:assert/strict";
import { ApolloClient, ApolloLink, CombinedGraphQLErrors, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { relayStylePagination } from "@apollo/client/utilities";
import { print } from "graphql";
import { DELETE, DRAFT, DRAFTS, KNOWN, MEMBER, NAMES, NODE, PAGE, RENAME, recorded, sha256, TOKEN, url, wasPersisted } from "./documents.mjs";

const cache = () =>
  new InMemoryCache({
    typePolicies: {
      Query: {
        fields: {
          campaigns: relayStylePagination(["filter", "orderBy"]),
          campaign: { read: (_, { args, toReference }) => toReference({ __typename: "Campaign", id: args.id }) },
        },
      },
    },
  });

if (process.env.MANIFEST) {
  const sent = [DRAFTS, DRAFT, NODE, RENAME].map((text) => print(cache().transformDocument(gql(text))));
  console.log(JSON.stringify(Object.fromEntries(sent.map((text) => [sha256(text), text]))));
  process.exit(0);
}

const { send, taken } = recorded();
const connect = (token) =>
  new ApolloClient({
    cache: cache(),
    link: ApolloLink.from([
      new PersistedQueryLink({ sha256 }),
      new HttpLink({ uri: url, fetch: send, headers: { Authorization: `Bearer ${token}` } }),
    ]),
  });
const client = connect(TOKEN);

// persisted queries
const list = client.watchQuery({ query: gql(DRAFTS), variables: { first: PAGE } });
const shown = () => list.getCurrentResult().data.campaigns;
const names = () => shown().edges.map(({ node }) => node.name);
const subscription = list.subscribe({});
await until(() => list.getCurrentResult().dataState === "complete");
wasPersisted(taken());
assert.deepEqual(names(), NAMES.slice(0, PAGE));
assert.equal(shown().totalCount, NAMES.length);

// pages are appended to the list, in order and once each
while (shown().pageInfo.hasNextPage) {
  const before = names().length;
  await list.fetchMore({ variables: { after: shown().pageInfo.endCursor } });
  // the cache notifies watchers asynchronously
  await until(() => names().length > before);
}
assert.deepEqual(names(), NAMES);
const pages = taken();
assert.equal(pages.length, 2);
assert.ok(pages.every(({ isWhole, hash }) => isWhole !== Boolean(KNOWN) && (hash !== null) === Boolean(KNOWN)));

// a new name appears everywhere, without another request
const { id } = shown().edges[0].node;
const renamed = await client.mutate({ mutation: gql(RENAME), variables: { input: { id, name: "Draft 00" } } });
assert.equal(renamed.data.updateCampaign.campaign.name, "Draft 00");
await until(() => names()[0] === "Draft 00");
assert.deepEqual(names(), ["Draft 00", ...NAMES.slice(1)]);
assert.deepEqual(taken().map(({ name }) => name), ["Rename"]);

// the cache has one object for all fields that return it
const node = await client.query({ query: gql(NODE), variables: { id } });
assert.deepEqual([node.data.node.__typename, node.data.node.name], ["Campaign", "Draft 00"]);
assert.equal(Object.keys(client.cache.extract()).filter((key) => key === `Campaign:${id}`).length, 1);
const status = await client.query({ query: gql(DRAFT), variables: { id } });
assert.deepEqual([status.data.campaign.name, status.data.campaign.status], ["Draft 00", "DRAFT"]);
taken();
const again = await client.query({ query: gql(DRAFT), variables: { id } });
assert.equal(again.data.campaign.status, "DRAFT");
assert.deepEqual(taken(), []);
await client.mutate({ mutation: gql(RENAME), variables: { input: { id, name: NAMES[0] } } });
subscription.unsubscribe();

// errors have their codes
const refusal = async (asked) => {
  const error = await asked.then(() => null, (error) => error);
  assert.ok(CombinedGraphQLErrors.is(error), String(error));
  return error.errors[0].extensions;
};
const wrong = await refusal(client.query({ query: gql(DRAFTS), variables: { first: 1, after: "nonsense" }, fetchPolicy: "no-cache" }));
assert.deepEqual([wrong.code, wrong.field], ["BAD_USER_INPUT", "after"]);
const forbidden = await refusal(connect(MEMBER).mutate({ mutation: gql(DELETE), variables: { id } }));
assert.equal(forbidden.code, "FORBIDDEN");
console.log("done");

async function until(holds) {
  for (let tries = 0; !holds(); tries++) {
    assert.ok(tries < 3_000, "it takes too long");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
