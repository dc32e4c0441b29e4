import { Text } from "@mantine/core";
import type { Choice } from "./choice";
import { count } from "./format";
import type { Loaded } from "./pages";
import { Rows } from "./rows";
import type { Column } from "./table";
import { Busy, Empty, Failed, Loading } from "./states";

/** A list that loads as the user scrolls, in each of its states. */
export function InfiniteList<Row extends { id: string }>({
  label,
  list,
  columns,
  choice,
  empty,
}: {
  label: string;
  list: Loaded<Row>;
  columns: Column<Row>[];
  choice?: Choice<Row>;
  empty: string;
}) {
  const { rows, total, error, isLoading, isOld, more, reload } = list;
  if (rows.length === 0) {
    if (error) return <Failed error={error} onRetry={reload} />;
    return isLoading ? <Loading /> : <Empty title={empty} />;
  }
  return (
    <Busy isBusy={isOld}>
      <Rows
        label={label}
        columns={columns}
        rows={rows}
        choice={choice}
        onEnd={more}
        isLoading={isLoading && !isOld}
      />
      {error && <Failed error={error} onRetry={reload} />}
      {total !== undefined && (
        <Text size="sm" c="dimmed" px="md" py="xs" role="status">
          {count(total)} in total
          {choice && choice.chosen.size > 0 && `, ${count(choice.chosen.size)} selected`}
          {choice && choice.chosen.size > 0 && rows.length < total && ` of the ${count(rows.length)} loaded`}
        </Text>
      )}
    </Busy>
  );
}
