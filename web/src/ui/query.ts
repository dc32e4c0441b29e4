import { useCallback, useEffect, useRef } from "react";
import { type AnyVariables, type CombinedError, type RequestPolicy, type TypedDocumentNode, useQuery } from "urql";

/** The state of a query in a view. */
export interface StableQuery<Data, Variables> {
  /** The last result, with its variables. Labels have to be made from these variables. */
  shown: { data: Data; of: Variables } | null;
  /** The error of the last request. The last result is still shown. */
  error: CombinedError | undefined;
  /** Whether the shown result is about to be replaced. */
  isBusy: boolean;
  reload: () => void;
}

/** The shortest and the longest pause between retries while the service cannot be reached. */
const SHORTEST = 1_000;
const LONGEST = 15_000;

/** Calls `again` with exponential backoff while the service cannot be reached. */
export function useRetry(error: CombinedError | undefined, isBusy: boolean, again: () => void): void {
  const wait = useRef(SHORTEST);
  useEffect(() => {
    if (isBusy) return;
    if (error === undefined) {
      wait.current = SHORTEST;
      return;
    }
    if (error.networkError === undefined) return;
    const timer = setTimeout(again, wait.current);
    wait.current = Math.min(2 * wait.current, LONGEST);
    return () => clearTimeout(timer);
  }, [error, isBusy, again]);
}

/**
 * Runs a query, and keeps its result until the next one: new variables and errors do not remove it. The
 * results of another `subject`, such as the ID of a page's object, are not shown.
 */
export function useStableQuery<Data, Variables extends AnyVariables & object>({
  query,
  variables,
  subject = "",
  requestPolicy,
}: {
  query: TypedDocumentNode<Data, Variables>;
  variables: Variables;
  subject?: string;
  requestPolicy?: RequestPolicy;
}): StableQuery<Data, Variables> {
  const [state, execute] = useQuery<Data, AnyVariables>({ query, variables, requestPolicy });
  const { data, error, fetching, stale, operation } = state;
  const kept = useRef<{ subject: string; data: Data; of: Variables } | null>(null);
  const failed = useRef<CombinedError | undefined>(undefined);
  const of = operation?.variables as Variables | undefined;
  const isCurrent = of !== undefined && JSON.stringify(of) === JSON.stringify(variables);
  if (data !== undefined && isCurrent && !fetching) kept.current = { subject, data, of };
  // the last error stays visible during a retry
  if (!fetching && isCurrent) failed.current = error;
  const shown = kept.current?.subject === subject ? kept.current : null;
  const reload = useCallback(() => execute({ requestPolicy: "network-only" }), [execute]);
  useRetry(error, fetching, reload);
  return { shown, error: failed.current, isBusy: fetching || stale, reload };
}

/** Calls `reload` when the revision changes. */
export function useRevision(revision: number, reload: () => void): void {
  const seen = useRef(revision);
  useEffect(() => {
    if (seen.current === revision) return;
    seen.current = revision;
    reload();
  }, [revision, reload]);
}
