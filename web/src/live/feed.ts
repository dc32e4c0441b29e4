import { useEffect, useMemo, useReducer, useRef } from "react";
import { useClient } from "urql";
import { graphql } from "../../__generated__";
import type { EngagementEventFilter, LiveEventFragment } from "../../__generated__/graphql";

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
const KEPT = 100_000;
/** How long the feed waits after a failure. */
const PATIENCE = 2_000;

interface Heard {
  events: LiveEventFragment[];
  error: string | null;
}

type Change = { events: LiveEventFragment[] } | { error: string } | "clear";

function change({ events }: Heard, made: Change): Heard {
  if (made === "clear") return { events: [], error: null };
  if ("error" in made) return { events, error: made.error };
  return { events: [...made.events, ...events].slice(0, KEPT), error: null };
}

/**
 * Follows the feed from its end on, latest first. A feed that was paused, or cut off, goes on after
 * the last event that was shown, so that none is missing and none comes twice.
 */
export function useFeed(filter: EngagementEventFilter, isPaused: boolean) {
  const client = useClient();
  const [heard, tell] = useReducer(change, { events: [], error: null });
  const cursor = useRef<string | null>(null);
  const key = JSON.stringify(filter);
  const filtered = useMemo(() => JSON.parse(key) as EngagementEventFilter, [key]);

  // another filter selects among what comes from now on
  useEffect(() => {
    cursor.current = null;
    tell("clear");
  }, [filtered]);
  useEffect(() => {
    if (isPaused) return;
    let end = () => {};
    let isOver = false;
    let arrived: LiveEventFragment[] = [];
    let frame = 0;
    const show = () => {
      frame = 0;
      tell({ events: arrived.reverse() });
      arrived = [];
    };
    const again = (error: string) => {
      tell({ error });
      const timer = setTimeout(() => void follow(), PATIENCE);
      end = () => clearTimeout(timer);
    };
    const follow = async () => {
      if (cursor.current === null) {
        const { data, error } = await client.query(End, {}, { requestPolicy: "network-only" });
        if (isOver) return;
        if (!data) return again(error?.message ?? "The feed does not answer.");
        cursor.current = data.feedCursor;
      }
      const variables = { after: cursor.current, filter: filtered };
      const { unsubscribe } = client.subscription(Feed, variables).subscribe(({ data, error }) => {
        if (data) {
          cursor.current = data.engagementEvents.cursor;
          variables.after = cursor.current;
          arrived.push(data.engagementEvents.node);
          // a burst is drawn at once
          frame ||= requestAnimationFrame(show);
        }
        if (error) {
          // a cursor that the service refuses names an event that a restore took back
          const code = error.graphQLErrors[0]?.extensions.code;
          if (code === "BAD_USER_INPUT") cursor.current = null;
          unsubscribe();
          again(error.message);
        }
      });
      end = unsubscribe;
    };
    void follow();
    return () => {
      isOver = true;
      end();
      if (frame !== 0) {
        cancelAnimationFrame(frame);
        show();
      }
    };
  }, [client, filtered, isPaused]);
  return heard;
}
