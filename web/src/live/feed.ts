import { useEffect, useMemo, useReducer, useRef } from "react";
import { stringifyDocument, useClient } from "urql";
import { graphql } from "../../__generated__";
import type { EngagementEventFilter, LiveEventFragment } from "../../__generated__/graphql";
import { socketAddress } from "../base";
import { EXPIRED } from "../session/client";
import { FORBIDDEN, report } from "../session/connection";
import { hasEnded, renewIfEnded } from "../session/issuer";
import { useSession } from "../session/session";
import { authorization, token } from "../session/token";
import { Latest } from "./latest";
import type { FromWorker, ToWorker } from "./worker";

const Feed = graphql(`
  subscription Feed($after: String, $filter: EngagementEventFilter) {
    engagementEvents(after: $after, filter: $filter) {
      cursor
      node { ...LiveEvent }
    }
  }
`);

const End = graphql(`
  query FeedEnd { feedCursor }
`);

export const LiveEvent = graphql(`
  fragment LiveEvent on EngagementEvent {
    id
    ...Badge
    url
    occurredAt
    campaign { id name }
    contact { id firstName lastName email }
  }
`);

/** The number of events that stay on the page. */
export const MAX_EVENTS = 10_000;
/** The pause after a failure. */
const RETRY = 2_000;

interface FeedState {
  events: Latest<LiveEventFragment>;
  error: string | null;
}

/**
 * Follows the feed from its end, latest event first. After a pause or a lost connection, it continues
 * after the last shown event, so that no event is missing or repeated.
 */
export function useFeed(filter: EngagementEventFilter, isPaused: boolean): FeedState {
  const client = useClient();
  const { signOut } = useSession();
  const key = JSON.stringify(filter);
  // a new filter applies to events from now on
  const feed = useMemo(
    () => ({ filter: JSON.parse(key) as EngagementEventFilter, events: new Latest<LiveEventFragment>(MAX_EVENTS) }),
    [key],
  );
  const cursor = useRef<{ of: typeof feed; at: string } | null>(null);
  // state that redraws: the ring is one object with changing content
  const [error, draw] = useReducer((_: { text: string | null }, text: string | null) => ({ text }), { text: null });

  useEffect(() => {
    if (isPaused) return;
    const { events, filter } = feed;
    let end = () => {};
    let isOver = false;
    const again = (error: string) => {
      end();
      draw(error);
      const timer = setTimeout(() => void follow(), RETRY);
      end = () => clearTimeout(timer);
    };
    const follow = async () => {
      if (cursor.current?.of !== feed) {
        const { data, error } = await client.query(End, {}, { requestPolicy: "network-only" });
        if (isOver) return;
        if (!data) return again(error?.message ?? "The feed is not responding.");
        cursor.current = { of: feed, at: data.feedCursor };
      }
      const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
      const tell = (message: ToWorker) => worker.postMessage(message);
      let sent = token();
      end = () => {
        worker.terminate();
        report("feed", "idle");
      };
      worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => {
        // messages in flight when the worker was terminated arrive again after the cursor
        if (isOver) return;
        if (data === "headers") {
          void renewIfEnded().then(() => {
            sent = token();
            tell({ headers: authorization() });
          });
        } else if ("connection" in data) {
          report("feed", data.connection);
          if (data.code === FORBIDDEN && !hasEnded(sent)) signOut(EXPIRED);
        } else if ("events" in data) {
          cursor.current = { of: feed, at: data.cursor };
          events.add(data.events, data.skipped);
          draw(null);
          tell("next");
        } else {
          // the service refuses a cursor whose event was lost by a restore
          if (data.code === "BAD_USER_INPUT") cursor.current = null;
          again(data.failure);
        }
      });
      tell({
        follow: {
          url: socketAddress(),
          query: stringifyDocument(Feed),
          after: cursor.current.at,
          filter,
          capacity: MAX_EVENTS,
        },
      });
    };
    void follow();
    return () => {
      isOver = true;
      end();
    };
  }, [client, signOut, feed, isPaused]);
  return { events: feed.events, error: error.text };
}
