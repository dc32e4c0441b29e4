import { Button } from "@mantine/core";
import { useEffect, useRef } from "react";
import { count } from "../ui/format";
import type { Loaded } from "../ui/pages";

/**
 * A button that reloads a list that has changed, so that rows do not move under the reader. An empty list reloads
 * automatically.
 */
export function ReloadButton({
  list: { rows, total, isLoading, reload },
  now,
  revision,
}: {
  list: Loaded<unknown>;
  /** The current number of rows. */
  now: number;
  revision: number;
}) {
  // the revision of the loaded rows
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
      {more > 0 ? `Show ${count(more)} new` : "Show changes"}
    </Button>
  );
}
