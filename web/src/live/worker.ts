/**
 * Follows the feed in a worker, so that the page stays responsive at ten thousand events per second. It
 * sends them in batches, each after the page has processed the previous one, and buffers no more than the
 * page shows. Events are sent as text: thousands of objects would have to be allocated and collected,
 * although the page draws about thirty.
 */

import { createClient } from "graphql-ws";
import type { FeedSubscription, LiveEventFragment } from "../../__generated__/graphql";
import { reconnecting } from "../session/backoff";
import type { Connection } from "../session/connection";

/** A message from the page to the worker. */
export type ToWorker =
  | { follow: { url: string; query: string; after: string; filter: unknown; capacity: number } }
  | { headers: Record<string, string> }
  | "next";

/** A message from the worker to the page. */
export type FromWorker =
  | { events: string[]; skipped: number; cursor: string }
  | { connection: Connection; code?: number }
  | { failure: string; code: unknown }
  | "headers";

/** The minimum time between two batches of events for the page. */
const PACE = 500;

const tell = (message: FromWorker) => self.postMessage(message);
let events: LiveEventFragment[] = [];
let skipped = 0;
let cursor = "";
let capacity = 0;
let isWanted = true;
let given = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
let takeHeaders: (headers: Record<string, string>) => void = () => {};

self.addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  if (data === "next") {
    isWanted = true;
    give();
  } else if ("headers" in data) {
    takeHeaders(data.headers);
  } else {
    follow(data.follow);
  }
});

function follow({ url, query, after, filter, capacity: most }: Extract<ToWorker, { follow: unknown }>["follow"]) {
  capacity = most;
  const client = createClient({
    url,
    connectionParams: () =>
      new Promise<Record<string, string>>((resolve) => {
        takeHeaders = resolve;
        tell("headers");
      }),
    ...reconnecting,
    on: {
      connecting: () => tell({ connection: "connecting" }),
      connected: () => tell({ connection: "connected" }),
      closed: (event) => tell({ connection: "lost", code: (event as CloseEvent).code }),
    },
  });
  const variables = { after, filter };
  client.subscribe<FeedSubscription>(
    { query, variables },
    {
      next: ({ data, errors }) => {
        if (errors) return fail(errors);
        if (!data) return;
        cursor = data.engagementEvents.cursor;
        // a new connection continues after it
        variables.after = cursor;
        events.push(data.engagementEvents.node);
        if (events.length >= 2 * capacity) skip();
        give();
      },
      error: fail,
      complete: () => {},
    },
  );
}

/** Sends the buffered events, if the page is ready, at most one batch per [`PACE`]. */
function give() {
  if (!isWanted || events.length === 0 || timer !== undefined) return;
  timer = setTimeout(
    () => {
      timer = undefined;
      isWanted = false;
      given = Date.now();
      skip();
      tell({ events: events.map((event) => JSON.stringify(event)), skipped, cursor });
      events = [];
      skipped = 0;
    },
    Math.max(0, given + PACE - Date.now()),
  );
}

/** Drops buffered events that would not fit on the page. */
function skip() {
  const more = events.length - capacity;
  if (more <= 0) return;
  events = events.slice(more);
  skipped += more;
}

function fail(error: unknown) {
  const [first] = Array.isArray(error) ? (error as { message: string; extensions?: { code?: unknown } }[]) : [];
  tell({ failure: first?.message ?? "The feed is not responding.", code: first?.extensions?.code });
}
