// Follows the live feed and prints a line for each event: the time, type, campaign, contact and clicked
// link. A lost connection loses nothing: it continues after the last event that it saw. With --state it
// keeps that place in a file, so a restart loses nothing either.
//
//   node follow.mjs [TOKEN] [URL] [--state FILE]        TOKEN and URL can also come from the environment
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const { values, positionals } = parseArgs({ options: { state: { type: "string" } }, allowPositionals: true });
const [token = process.env.TOKEN, url = process.env.URL ?? "ws://127.0.0.1:8080/graphql"] = positionals;
const note = (text) => console.error(`-- ${text}`);

let socket, unanswered;
let lost = false;
const client = createClient({
  url,
  // an address that accepts the connection but never responds counts as down
  webSocketImpl: class extends WebSocket {
    constructor(address, protocols) {
      super(address, protocols, { handshakeTimeout: 10_000 });
    }
  },
  // called for each connection: fetch a fresh token here if tokens are short-lived
  connectionParams: () => ({ Authorization: `Bearer ${token}` }),
  retryAttempts: Infinity,
  retryWait: (retries) => sleep(Math.min(250 * 2 ** retries, 10_000) * (0.5 + Math.random() / 2)),
  // 4403 means that the token is invalid or has expired; this program has no other
  shouldRetry: ({ code }) => code !== 4403,
  // the connection outlives the query for the cursor and also serves the subscription
  lazyCloseTimeout: 1_000,
  keepAlive: 10_000,
  on: {
    opened: (opened) => (socket = opened),
    connected: () => {
      note(`${lost ? "back at" : "following"} ${url}`);
      lost = false;
    },
    // a connection can break silently; the client would wait for the response forever
    ping: (received) => received || (unanswered = setTimeout(() => socket.terminate(), 5_000)),
    pong: (received) => received && clearTimeout(unanswered),
    error: ({ message }) => lost || note(message),
    closed: ({ code, reason }) => {
      clearTimeout(unanswered);
      if (!lost) note(`no connection (${code}${reason && ` ${reason}`})`);
      lost = true;
    },
  },
});

const stop = (reason) => {
  const reasons = Array.isArray(reason) ? reason.map(({ message }) => message) : [reason.reason || reason.message];
  note(`stopped: ${reasons.join("; ")}`);
  process.exit(1);
};

// Without a cursor, a subscription starts now, and each reconnect before the first event starts later.
async function now() {
  const { value } = await client.iterate({ query: "{ feedCursor }" }).next();
  return value.errors ? stop(value.errors) : value.data.feedCursor;
}

const begin = existsSync(values.state ?? "") ? readFileSync(values.state, "utf8").trim() : await now().catch(stop);

const request = {
  query: `subscription($after: String) {
    engagementEvents(after: $after) {
      cursor
      node { occurredAt type bounceType url campaign { name } contact { email } }
    }
  }`,
  variables: { after: begin },
};

client.subscribe(request, {
  next({ data, errors }) {
    if (errors) stop(errors);
    const { cursor, node } = data.engagementEvents;
    const { occurredAt, type, bounceType, url, campaign, contact } = node;
    const line = [occurredAt.slice(0, 19), type, campaign.name, contact.email ?? "-", url ?? bounceType ?? ""];
    // a name or a link can contain line breaks
    console.log(line.map((text) => text.replaceAll(/\s/g, " ")).join("  "));
    // the client sends the request again on each connection, so this is where the next one starts
    request.variables.after = cursor;
    if (values.state) {
      // renamed into place, so that a crash leaves either the old or the new cursor
      writeFileSync(`${values.state}.new`, cursor);
      renameSync(`${values.state}.new`, values.state);
    }
  },
  error: stop,
  complete: () => stop({ message: "the service ended the subscription" }),
});
