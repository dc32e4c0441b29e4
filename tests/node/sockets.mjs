// graphql-ws as in its documentation. ADDRESS is the service, TOKEN an admin's token. Prints "restart" when the
// service should be restarted at the same address, and "done" at the end.

import assert from "node:assert/strict";
import { createClient } from "graphql-ws";
import WebSocket from "ws";
import { click, FEED, feedCursor, TOKEN, url } from "./documents.mjs";

const params = { Authorization: `Bearer ${TOKEN}` };

/** A client, and the events of its sockets. */
function connect(options) {
  const seen = { opened: 0, acknowledged: 0, closed: [], pongs: 0, retries: [] };
  const client = createClient({
    url: url.replace("http", "ws"),
    webSocketImpl: WebSocket,
    connectionParams: params,
    ...options,
    on: {
      opened: () => seen.opened++,
      connected: (_, __, isRetry) => {
        seen.acknowledged++;
        seen.retries.push(isRetry);
      },
      closed: ({ code }) => seen.closed.push(code),
      pong: (isReceived) => isReceived && seen.pongs++,
    },
  });
  return { client, seen };
}

async function until(holds) {
  for (let tries = 0; !holds(); tries++) {
    assert.ok(tries < 3_000, "it takes too long");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The only result of a query. */
async function only(client, query, variables) {
  const results = [];
  for await (const result of client.iterate({ query, variables })) results.push(result);
  assert.equal(results.length, 1);
  return results[0];
}

/** The error of an operation. */
const failure = (client, request) =>
  new Promise((resolve, reject) => client.subscribe(request, { next: reject, error: resolve, complete: reject }));

// lazy: a socket only while there is an operation
{
  const { client, seen } = connect({ lazy: true });
  assert.equal(seen.opened, 0);
  const { data } = await only(client, "{ campaigns(first: 2, orderBy: [{ field: NAME }]) { nodes { name } } }");
  assert.deepEqual(data.campaigns.nodes.map(({ name }) => name), ["Draft 01", "Draft 02"]);
  await until(() => seen.closed.length === 1);
  assert.deepEqual([seen.opened, seen.closed], [1, [1000]]);
  const refused = await only(client, "query ($after: String) { campaigns(first: 1, after: $after) { totalCount } }", { after: "x" });
  assert.equal(refused.errors[0].extensions.code, "BAD_USER_INPUT");
  await until(() => seen.closed.length === 2);
  const invalid = await failure(client, { query: "{ nothing }" });
  assert.equal(invalid[0].extensions.code, "GRAPHQL_VALIDATION_FAILED");
  await client.dispose();
}

// not lazy, with its own pings
{
  const { client, seen } = connect({ lazy: false, keepAlive: 100, onNonLazyError: assert.fail });
  await until(() => seen.pongs >= 3);
  assert.deepEqual([seen.opened, seen.closed], [1, []]);
  const { data } = await only(client, "{ __typename }");
  assert.equal(data.__typename, "Query");
  await client.dispose();
  await until(() => seen.closed.length === 1);
  assert.deepEqual(seen.closed, [1000]);
}

// close codes: after a refused token, the client retries as often as configured; after an ID in use, it does not
// retry
{
  const { client, seen } = connect({
    connectionParams: { Authorization: "Bearer nonsense" },
    retryAttempts: 2,
    retryWait: () => Promise.resolve(),
  });
  assert.equal((await failure(client, { query: "{ __typename }" })).code, 4403);
  assert.deepEqual([seen.opened, seen.acknowledged, seen.closed], [3, 0, [4403, 4403, 4403]]);
}
for (const [code, options] of [
  [4409, { generateID: () => "same" }],
  [4400, { jsonMessageReplacer: (key, value) => (key === "id" ? 7 : value) }],
]) {
  const { client, seen } = connect({ ...options, retryAttempts: 5, retryWait: () => Promise.resolve() });
  const requests = [1, 2].map(() => failure(client, { query: FEED }));
  assert.deepEqual((await Promise.all(requests)).map((error) => error.code), [code, code]);
  assert.deepEqual([seen.opened, seen.closed], [1, [code]]);
}

// when the service restarts, the client retries and continues after the last event
{
  const variables = { after: await feedCursor() };
  const heard = [];
  const { client, seen } = connect({
    retryAttempts: 1_000,
    retryWait: () => new Promise((resolve) => setTimeout(resolve, 50)),
    shouldRetry: () => true,
  });
  client.subscribe(
    { query: FEED, variables },
    {
      next: ({ data, errors }) => {
        assert.equal(errors, undefined);
        variables.after = data.engagementEvents.cursor;
        heard.push(data.engagementEvents.node.url);
      },
      error: assert.fail,
      complete: () => assert.fail("the service completed the subscription"),
    },
  );
  await until(() => seen.acknowledged === 1);
  await click("https://before.example/");
  await until(() => heard.length === 1);
  console.log("restart");
  await until(() => seen.closed.length > 0);
  await until(() => seen.acknowledged === 2);
  assert.equal(seen.closed[0], 1001);
  assert.deepEqual(seen.retries, [false, true]);
  await click("https://after.example/");
  await until(() => heard.length >= 2);
  assert.deepEqual(heard, ["https://before.example/", "https://after.example/"]);
}
console.log("done");
process.exit(0);
