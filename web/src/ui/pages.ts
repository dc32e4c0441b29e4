import { useCallback, useEffect, useRef, useState } from "react";
import { type AnyVariables, type CombinedError, type TypedDocumentNode, useClient } from "urql";
import { useRetry } from "./query";

/** A page of a connection. */
export interface Page<Row> {
  nodes: Row[];
  totalCount?: number;
  pageInfo: { hasNextPage: boolean; endCursor?: string | null };
}

/** The loaded part of a list. */
export interface Loaded<Row> {
  rows: Row[];
  total: number | undefined;
  error: CombinedError | undefined;
  isLoading: boolean;
  /** Whether the rows belong to a previous filter, or are being reloaded. */
  isOld: boolean;
  /** Loads the next page. Undefined if there is none. */
  more: (() => void) | undefined;
  reload: () => void;
}

interface ListState<Row> {
  /** Grows in place, because copying 100,000 rows for each page is slow. */
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
 * Loads a list page by page as the user scrolls, each page after the cursor of the previous one. Restarts
 * when the variables change, and keeps the old rows until the first new page has loaded.
 */
export function usePages<Data, Variables extends AnyVariables, Row>(
  query: TypedDocumentNode<Data, Variables>,
  variables: Omit<Variables, "after">,
  pageOf: (data: Data) => Page<Row> | null | undefined,
): Loaded<Row> {
  const client = useClient();
  const [state, setState] = useState<ListState<Row>>(nothing);
  const run = useRef(0);
  const rows = useRef<Row[]>([]);
  const key = JSON.stringify(variables);
  const latest = useRef({ variables, pageOf });
  latest.current = { variables, pageOf };

  const load = useCallback(
    async (cursor: string | null) => {
      const own = ++run.current;
      setState((state) => ({ ...state, isLoading: true, isOld: cursor === null && state.rows.length > 0 }));
      const asked = { ...latest.current.variables, after: cursor } as unknown as Variables;
      const { data, error } = await client.query(query, asked, { requestPolicy: "network-only" });
      // a newer request has started meanwhile
      if (own !== run.current) return;
      const page = data === undefined ? undefined : latest.current.pageOf(data);
      // the old rows stay until the first new page has loaded
      if (cursor === null && page) rows.current = [];
      if (page) rows.current.push(...page.nodes);
      setState((state) => ({
        rows: rows.current,
        total: page?.totalCount ?? state.total,
        error,
        isLoading: false,
        isOld: page === undefined && state.isOld,
        hasMore: page?.pageInfo.hasNextPage ?? state.hasMore,
        cursor: page?.pageInfo.endCursor ?? state.cursor,
      }));
    },
    [client, query],
  );
  useEffect(() => void load(null), [load, key]);

  const { total, error, isLoading, isOld, hasMore, cursor } = state;
  const more = useCallback(() => void load(cursor), [load, cursor]);
  const reload = useCallback(() => void load(null), [load]);
  // retry the request that failed
  useRetry(error, isLoading, isOld || state.rows.length === 0 ? reload : more);
  return {
    rows: state.rows,
    total,
    error,
    isLoading,
    isOld,
    more: hasMore && !isOld && error === undefined ? more : undefined,
    reload,
  };
}
