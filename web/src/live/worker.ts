/**
 * Follows the feed in a thread of its own, so that ten thousand events a second leave the page free to
 * draw. It hands them over in batches, one as soon as the page has taken the one before, and keeps no
 * more meanwhile than the page shows. Each event is handed over as text: a page that is given thousands
 * of objects makes and collects them all, though it draws some thirty.
 */

import { createClient } from "graphql-ws";
import type { FeedSubscription, LiveEventFragment } from "../../__generated__/graphql";
import { patiently } from "../session/backoff";
import type { Connection } from "../session/connection";

/** What the page tells the worker. */
export type ToWorker =
  | { follow: { url: string; query: string; after: string; filter: unknown; kept: number } }
  | { headers: Record<string, string> }
  | "next";

/** What the worker tells the page. */
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
let kept = 0;
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

function follow({ url, query, after, filter, kept: most }: Extract<ToWorker, { follow: unknown }>["follow"]) {
  kept = most;
  const client = createClient({
    url,
    connectionParams: () =>
      new Promise<Record<string, string>>((resolve) => {
        takeHeaders = resolve;
        tell("headers");
      }),
    ...patiently,
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
        // a connection that is made again goes on after it
        variables.after = cursor;
        events.push(data.engagementEvents.node);
        if (events.length >= 2 * kept) skip();
        give();
      },
      error: fail,
      complete: () => {},
    },
  );
}

/** Hands over what has come, if the page is ready and its last batch is a while ago. */
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

/** Forgets events that the page would push out at once. */
function skip() {
  const more = events.length - kept;
  if (more <= 0) return;
  events = events.slice(more);
  skipped += more;
}

function fail(error: unknown) {
  const [first] = Array.isArray(error) ? (error as { message: string; extensions?: { code?: unknown } }[]) : [];
  tell({ failure: first?.message ?? "The feed is not responding.", code: first?.extensions?.code });
}
