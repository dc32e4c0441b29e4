import { Button } from "@mantine/core";
import { useEffect, useRef } from "react";
import { count } from "../ui/format";
import type { Loaded } from "../ui/pages";

/**
 * Offers to load a list again once it has changed, so that rows do not move under the reader. An empty list is
 * loaded again by itself.
 */
export function News({
  list: { rows, total, isLoading, reload },
  now,
  revision,
}: {
  list: Loaded<unknown>;
  /** How many rows it has now. */
  now: number;
  revision: number;
}) {
  // the revision that the rows are of, as far as it is known
  const seen = useRef(revision);
  const wasLoading = useRef(isLoading);
  if (isLoading && !wasLoading.current) seen.current = revision;
  wasLoading.current = isLoading;
  const isEmpty = rows.length === 0 && !isLoading && now > 0;
  useEffect(() => {
    if (isEmpty && seen.current !== revision) reload();
  }, [isEmpty, revision, reload]);
  if (rows.length === 0 || isLoading || seen.current === revision) return null;
  const more = now - (total ?? 0);
  return (
    <Button size="xs" variant="light" mx="md" mb="xs" onClick={reload}>
      {more > 0 ? `${count(more)} new, show` : "Changed, show"}
    </Button>
  );
}
