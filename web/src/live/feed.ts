import { useEffect, useMemo, useReducer, useRef } from "react";
import { stringifyDocument, useClient } from "urql";
import { graphql } from "../../__generated__";
import type { EngagementEventFilter, LiveEventFragment } from "../../__generated__/graphql";
import { socketAddress } from "../base";
import { EXPIRED } from "../session/client";
import { report } from "../session/connection";
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
    type
    url
    occurredAt
    campaign { id name }
    contact { id firstName lastName email }
  }
`);

/** How many events stay on the page; older ones leave it. */
export const KEPT = 10_000;
/** How long the feed waits after a failure. */
const PATIENCE = 2_000;

interface Heard {
  events: Latest<LiveEventFragment>;
  error: string | null;
}

/**
 * Follows the feed from its end on, latest first. A feed that was paused, or cut off, goes on after
 * the last event that was shown, so that none is missing and none comes twice.
 */
export function useFeed(filter: EngagementEventFilter, isPaused: boolean): Heard {
  const client = useClient();
  const { signOut } = useSession();
  const key = JSON.stringify(filter);
  // another filter selects among what comes from now on
  const heard = useMemo(
    () => ({ filter: JSON.parse(key) as EngagementEventFilter, events: new Latest<LiveEventFragment>(KEPT) }),
    [key],
  );
  const cursor = useRef<{ of: typeof heard; at: string } | null>(null);
  // the ring is one object with changing content
  const [error, draw] = useReducer((_: { text: string | null }, text: string | null) => ({ text }), { text: null });

  useEffect(() => {
    if (isPaused) return;
    const { events, filter } = heard;
    let end = () => {};
    let isOver = false;
    const again = (error: string) => {
      end();
      draw(error);
      const timer = setTimeout(() => void follow(), PATIENCE);
      end = () => clearTimeout(timer);
    };
    const follow = async () => {
      if (cursor.current?.of !== heard) {
        const { data, error } = await client.query(End, {}, { requestPolicy: "network-only" });
        if (isOver) return;
        if (!data) return again(error?.message ?? "The feed is not responding.");
        cursor.current = { of: heard, at: data.feedCursor };
      }
      const worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
      const tell = (message: ToWorker) => worker.postMessage(message);
      let sent = token();
      end = () => {
        worker.terminate();
        report("feed", "idle");
      };
      worker.addEventListener("message", ({ data }: MessageEvent<FromWorker>) => {
        // what was on its way when the worker ended comes again after the cursor
        if (isOver) return;
        if (data === "headers") {
          void renewIfEnded().then(() => {
            sent = token();
            tell({ headers: authorization() });
          });
        } else if ("connection" in data) {
          report("feed", data.connection);
          if (data.code === 4403 && !hasEnded(sent)) signOut(EXPIRED);
        } else if ("events" in data) {
          cursor.current = { of: heard, at: data.cursor };
          events.add(data.events, data.skipped);
          draw(null);
          tell("next");
        } else {
          // a cursor that the service refuses names an event that a restore took back
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
          kept: KEPT,
        },
      });
    };
    void follow();
    return () => {
      isOver = true;
      end();
    };
  }, [client, signOut, heard, isPaused]);
  return { events: heard.events, error: error.text };
}
