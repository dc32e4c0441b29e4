// Relay's runtime with the output of relay-compiler for `relay/campaigns.js`: its store by ID, and the pages of a
// refetchable connection, as usePaginationFragment requests them. ADDRESS is the service, TOKEN an admin's token.

import assert from "node:assert/strict";
import { register } from "node:module";
import relay from "relay-runtime";
import { sha256, TOKEN, url } from "./documents.mjs";

const { createOperationDescriptor, Environment, fetchQuery, getRequest, getSelector, Network, RecordSource, Store } = relay;
// the compiler omits file extensions, which bundlers resolve
const resolve = "export const resolve = (name, context, next) => next(name.endsWith('.graphql') ? name + '.js' : name, context);";
register(`data:text/javascript,${encodeURIComponent(resolve)}`);
const artifact = async (name) => (await import(`./relay/__generated__/${name}.graphql.js`)).default;
const [query, list, sends] = await Promise.all(["campaignsQuery", "campaigns_list", "campaigns_sends"].map(artifact));

const asked = [];
const network = Network.create(async ({ name, text }, variables) => {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${TOKEN}` },
    body: JSON.stringify({ query: text, variables }),
  });
  asked.push({ name, variables, hash: sha256(text) });
  return response.json();
});
const environment = new Environment({ network, store: new Store(new RecordSource()) });

/** The data of a fragment on a part of the data of an operation or another fragment. */
const read = (fragment, of) => {
  const { data, isMissingData } = environment.lookup(getSelector(fragment, of));
  assert.equal(isMissingData, false);
  return data;
};

/** Loads the next page of a connection according to its fragment's metadata. Returns whether there was one. */
async function loadNext(fragment, of, count) {
  const { refetch, connection: [{ path }] } = fragment.metadata;
  const data = read(fragment, of);
  const { pageInfo } = path.reduce((value, key) => value[key], data);
  if (!pageInfo.hasNextPage) return false;
  const { forward } = refetch.connection;
  const selector = getSelector(fragment, of);
  const { identifierInfo, operation } = refetch;
  const variables = {
    ...selector.owner.variables,
    ...selector.variables,
    [forward.count]: count,
    [forward.cursor]: pageInfo.endCursor,
    ...(identifierInfo && { [identifierInfo.identifierQueryVariableName]: data[identifierInfo.identifierField] }),
  };
  await fetchQuery(environment, operation.default ?? operation, variables).toPromise();
  return true;
}

const variables = { filter: { status: { in: ["DRAFT", "SENT"] } } };
const operation = createOperationDescriptor(getRequest(query), variables);
const retained = environment.retain(operation);
await fetchQuery(environment, query, variables).toPromise();
const root = () => environment.lookup(operation.fragment).data;
assert.equal(root().viewer.organization.name, "acme");

// all pages, each campaign once and in order: 20 at first, then 3 at a time
const names = () => read(list, root()).campaigns.edges.map(({ node }) => node.name);
assert.equal(names().length, 20);
while (await loadNext(list, root(), 3));
assert.deepEqual(names(), ["Spring", ...Array.from({ length: 24 }, (_, index) => `Sent ${24 - index}`), ...names().slice(25)]);
assert.deepEqual(names().slice(25).toSorted(), Array.from({ length: 12 }, (_, index) => `Draft ${String(index + 1).padStart(2, "0")}`));
assert.deepEqual(asked.map(({ name }) => name), ["campaignsQuery", ...Array(6).fill("campaignsListPaginationQuery")]);

// the sends of one campaign by its ID: the next page is queried by `node(id:)`
const spring = () => read(list, root()).campaigns.edges[0].node;
const statuses = () => read(sends, spring()).sends.edges.map(({ node }) => `${node.status} ${node.contact.firstName}`);
assert.equal(statuses().length, 20);
assert.equal(await loadNext(sends, spring(), 100), true);
assert.equal(await loadNext(sends, spring(), 100), false);
assert.equal(statuses().length, 25);
assert.equal(new Set(read(sends, spring()).sends.edges.map(({ node }) => node.id)).size, 25);
assert.deepEqual([...new Set(statuses())], ["DELIVERED Ada"]);
const last = asked.at(-1);
assert.deepEqual([last.name, last.variables.id], ["campaignsSendsPaginationQuery", spring().id]);

// invalid page arguments are an error with a code
const wrong = fetchQuery(environment, query, { filter: { name: { eq: "\u0000" } } }).toPromise();
const error = await wrong.then(() => null, (error) => error);
assert.ok(error?.source?.errors[0].extensions.code.length > 0, String(error));
retained.dispose();
console.log("done");
