// The documents of the clients in this folder, and the data that they find: twelve drafts, `Draft 01` to `Draft 12`.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";

export const { ADDRESS, TOKEN, MEMBER, KNOWN } = process.env;
export const url = `${ADDRESS}/graphql`;

/** The number of drafts in a page. */
export const PAGE = 5;

export const DRAFTS = `query Drafts($first: Int!, $after: String) {
  campaigns(first: $first, after: $after, filter: { status: { eq: DRAFT } }, orderBy: [{ field: NAME }]) {
    totalCount
    edges { cursor node { id name } }
    pageInfo { hasNextPage endCursor }
  }
}`;

export const DRAFT = `query Draft($id: ID!) {
  campaign(id: $id) { id name status }
}`;

export const NODE = `query Node($id: ID!) {
  node(id: $id) { __typename id ... on Campaign { name } }
}`;

export const RENAME = `mutation Rename($input: UpdateCampaignInput!) {
  updateCampaign(input: $input) { campaign { id name } }
}`;

export const DELETE = `mutation Delete($id: ID!) {
  deleteCampaign(id: $id) { id }
}`;

export const FEED = `subscription Feed($after: String) {
  engagementEvents(after: $after) { cursor node { id type url } }
}`;

/** The names of all drafts, in order. */
export const NAMES = Array.from({ length: 12 }, (_, index) => `Draft ${String(index + 1).padStart(2, "0")}`);

export const sha256 = (text) => createHash("sha256").update(text).digest("hex");

/** The sent requests: each with the hash, whether it has a text, and the status and code of the response. */
export function recorded() {
  const requests = [];
  const send = async (address, init = {}) => {
    const { searchParams } = new URL(address);
    const body = init.body ? JSON.parse(init.body) : Object.fromEntries(searchParams);
    const { extensions } = body;
    const { persistedQuery } = (typeof extensions === "string" ? JSON.parse(extensions) : extensions) ?? {};
    const response = await fetch(address, init);
    const answer = await response.clone().json();
    requests.push({
      method: init.method ?? "GET",
      name: body.operationName,
      hash: persistedQuery?.sha256Hash ?? null,
      isWhole: Boolean(body.query),
      status: response.status,
      code: answer.errors?.[0].extensions.code ?? null,
    });
    return response;
  };
  /** The requests since the last call. */
  const taken = () => requests.splice(0);
  return { send, taken };
}

/** Checks the requests of the first query: only the hash if the document is known, otherwise the hash and then the whole document. */
export function wasPersisted(requests) {
  const [first, second, ...more] = requests;
  assert.match(first.hash, /^[0-9a-f]{64}$/);
  assert.equal(first.isWhole, false);
  if (KNOWN) {
    assert.deepEqual([first.code, second], [null, undefined]);
  } else {
    assert.equal(first.code, "PERSISTED_QUERY_NOT_SUPPORTED");
    assert.deepEqual([second.isWhole, second.code, more.length], [true, null, 0]);
  }
}

/** Queries the service without the tested client. */
export async function act(query, variables = {}) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${TOKEN}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  assert.equal(errors, undefined, JSON.stringify(errors));
  return data;
}

/** The end of the feed. */
export const feedCursor = async () => (await act("{ feedCursor }")).feedCursor;

/** Records a click on the only send. */
export async function click(url) {
  const { sends } = await act("{ sends(first: 1) { nodes { id } } }");
  const input = [{ sendId: sends.nodes[0].id, type: "CLICK", url }];
  await act("mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }", { input });
}
