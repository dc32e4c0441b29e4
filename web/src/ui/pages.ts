import { useCallback, useEffect, useRef, useState } from "react";
import { type AnyVariables, type CombinedError, type TypedDocumentNode, useClient } from "urql";
import { useAgain } from "./kept";

/** A page of a connection. */
export interface Page<Row> {
  nodes: Row[];
  totalCount?: number;
  pageInfo: { hasNextPage: boolean; endCursor?: string | null };
}

/** What has been loaded of a list so far. */
export interface Loaded<Row> {
  rows: Row[];
  total: number | undefined;
  error: CombinedError | undefined;
  isLoading: boolean;
  /** Whether the rows are of another filter, or are loaded again. */
  isOld: boolean;
  /** Undefined where there is nothing more. */
  more: (() => void) | undefined;
  reload: () => void;
}

interface Held<Row> {
  /** Grows in place: a copy of 100,000 rows for each page would keep the page busy. */
  rows: Row[];
  total: number | undefined;
  error: CombinedError | undefined;
  isLoading: boolean;
  isOld: boolean;
  hasMore: boolean;
  cursor: string | null;
}

const nothing = () => ({
  rows: [],
  total: undefined,
  error: undefined,
  isLoading: true,
  isOld: false,
  hasMore: false,
  cursor: null,
});

/**
 * Loads a list page by page, each after the cursor of the one before, as the reader scrolls. Begins
 * anew when the variables change, and keeps the rows of before until then.
 */
export function usePages<Data, Variables extends AnyVariables, Row>(
  query: TypedDocumentNode<Data, Variables>,
  variables: Omit<Variables, "after">,
  pageOf: (data: Data) => Page<Row> | null | undefined,
): Loaded<Row> {
  const client = useClient();
  const [held, setHeld] = useState<Held<Row>>(nothing);
  const run = useRef(0);
  const rows = useRef<Row[]>([]);
  const key = JSON.stringify(variables);
  const latest = useRef({ variables, pageOf });
  latest.current = { variables, pageOf };

  const load = useCallback(
    async (cursor: string | null) => {
      const own = ++run.current;
      setHeld((held) => ({ ...held, isLoading: true, isOld: cursor === null && held.rows.length > 0 }));
      const asked = { ...latest.current.variables, after: cursor } as unknown as Variables;
      const { data, error } = await client.query(query, asked, { requestPolicy: "network-only" });
      // another filter was chosen meanwhile
      if (own !== run.current) return;
      const page = data === undefined ? undefined : latest.current.pageOf(data);
      // until others are there, those of before stay
      if (cursor === null && page) rows.current = [];
      if (page) rows.current.push(...page.nodes);
      setHeld((held) => ({
        rows: rows.current,
        total: page?.totalCount ?? held.total,
        error,
        isLoading: false,
        isOld: page === undefined && held.isOld,
        hasMore: page?.pageInfo.hasNextPage ?? held.hasMore,
        cursor: page?.pageInfo.endCursor ?? held.cursor,
      }));
    },
    [client, query],
  );
  useEffect(() => void load(null), [load, key]);

  const { total, error, isLoading, isOld, hasMore, cursor } = held;
  const more = useCallback(() => void load(cursor), [load, cursor]);
  const reload = useCallback(() => void load(null), [load]);
  // what failed is tried again from where it failed
  useAgain(error, isLoading, isOld || held.rows.length === 0 ? reload : more);
  return {
    rows: held.rows,
    total,
    error,
    isLoading,
    isOld,
    more: hasMore && !isOld && error === undefined ? more : undefined,
    reload,
  };
}
