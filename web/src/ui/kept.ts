import { useCallback, useEffect, useRef } from "react";
import { type AnyVariables, type CombinedError, type RequestPolicy, type TypedDocumentNode, useQuery } from "urql";

/** What a view shows of a query. */
export interface Kept<Data, Variables> {
  /** What came last, with the variables that it was asked with: labels have to be made of these. */
  shown: { data: Data; of: Variables } | null;
  /** Why it cannot be asked now. What came before is still shown. */
  error: CombinedError | undefined;
  /** Whether what is shown is about to be replaced. */
  isBusy: boolean;
  reload: () => void;
}

/** How long it takes until a query is tried again, while the service cannot be reached. */
const SHORTEST = 1_000;
const LONGEST = 15_000;

/** Calls a function again and again while the service cannot be reached, less and less often. */
export function useAgain(error: CombinedError | undefined, isBusy: boolean, again: () => void): void {
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
 * Asks a query, and keeps what came until something else comes: neither new variables nor an error
 * take it away. `subject` is what it is about: nothing of another subject is shown.
 */
export function useKept<Data, Variables extends AnyVariables & object>({
  query,
  variables,
  subject = "",
  requestPolicy,
}: {
  query: TypedDocumentNode<Data, Variables>;
  variables: Variables;
  subject?: string;
  requestPolicy?: RequestPolicy;
}): Kept<Data, Variables> {
  const [state, execute] = useQuery<Data, AnyVariables>({ query, variables, requestPolicy });
  const { data, error, fetching, stale, operation } = state;
  const kept = useRef<{ subject: string; data: Data; of: Variables } | null>(null);
  const failed = useRef<CombinedError | undefined>(undefined);
  const of = operation?.variables as Variables | undefined;
  const isCurrent = of !== undefined && JSON.stringify(of) === JSON.stringify(variables);
  if (data !== undefined && isCurrent && !fetching) kept.current = { subject, data, of };
  // while it is asked again, what went wrong stays there to read
  if (!fetching && isCurrent) failed.current = error;
  const shown = kept.current?.subject === subject ? kept.current : null;
  const reload = useCallback(() => execute({ requestPolicy: "network-only" }), [execute]);
  useAgain(error, fetching, reload);
  return { shown, error: failed.current, isBusy: fetching || stale, reload };
}

/** Loads something again when a revision changes. */
export function useRevision(revision: number, reload: () => void): void {
  const seen = useRef(revision);
  useEffect(() => {
    if (seen.current === revision) return;
    seen.current = revision;
    reload();
  }, [revision, reload]);
}
