import { Loader } from "@mantine/core";
import { type ColumnDef, tableFeatures, useTable } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useEffect, useMemo, useRef } from "react";
import { ColumnHeader } from "./column-header";
import { ChooseAll, ChooseOne, type Choice } from "./choice";
import type { Column, Order, Sequence } from "./table";

const features = tableFeatures({});
const ROW_HEIGHT = 44;

interface Properties<Row> {
  label: string;
  columns: Column<Row>[];
  rows: Sequence<Row>;
  order?: Order;
  onOrder?: (order: Order) => void;
  /** Makes rows selectable. */
  choice?: Choice<Row>;
  /** Called when the user scrolls near the end. Undefined if there are no more rows. */
  onEnd?: () => void;
  isLoading?: boolean;
}

/**
 * A table that renders only the rows in view, so that any number of rows scrolls smoothly. All rows have
 * the same height.
 */
export function Rows<Row extends { id: string }>(properties: Properties<Row>) {
  const { label, columns, rows, order, onOrder, choice, onEnd, isLoading = false } = properties;
  const definitions = useMemo(
    () =>
      columns.map(
        ({ id, title, cell }): ColumnDef<typeof features, Row> => ({
          id,
          header: title,
          cell: ({ row }) => cell(row.original),
        }),
      ),
    [columns],
  );
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 8,
  });
  const items = virtual.getVirtualItems();
  const first = items[0];
  const last = items.at(-1);
  const inView = items.map(({ index }) => rows.at(index)).filter((row) => row !== undefined);
  const table = useTable({ features, columns: definitions, data: inView, getRowId: (row) => row.id });
  const isAtEnd = last !== undefined && last.index >= rows.length - 30;
  useEffect(() => {
    if (isAtEnd && !isLoading) onEnd?.();
  }, [isAtEnd, isLoading, onEnd]);

  const of = new Map(columns.map((column) => [column.id, column]));
  const width = columns.length + (choice ? 1 : 0);
  return (
    <div className="rows" ref={scroller} role="group" aria-label={label} tabIndex={0}>
      <table aria-rowcount={onEnd ? -1 : rows.length + 1}>
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id} aria-rowindex={1}>
              {choice && <ChooseAll choice={choice} rows={rows} />}
              {group.headers.map((header) => (
                <ColumnHeader
                  key={header.id}
                  column={of.get(header.column.id) as Column<Row>}
                  order={order}
                  onOrder={onOrder}
                />
              ))}
            </tr>
          ))}
        </thead>
        <tbody>
          {first !== undefined && first.start > 0 && (
            <tr className="space" aria-hidden>
              <td colSpan={width} style={{ height: first.start }} />
            </tr>
          )}
          {table.getRowModel().rows.map((row, place) => {
            const index = (first?.index ?? 0) + place;
            return (
              // keyed by index, so that rows inserted above update the elements instead of replacing them
              <tr key={index} aria-rowindex={index + 2}>
                {choice && <ChooseOne choice={choice} row={row.original} />}
                {row.getAllCells().map((cell) => (
                  <td
                    key={cell.column.id}
                    className={of.get(cell.column.id)?.isNumber ? "number" : undefined}
                  >
                    <table.FlexRender cell={cell} />
                  </td>
                ))}
              </tr>
            );
          })}
          {last !== undefined && virtual.getTotalSize() > last.end && (
            <tr className="space" aria-hidden>
              <td colSpan={width} style={{ height: virtual.getTotalSize() - last.end }} />
            </tr>
          )}
        </tbody>
      </table>
      {isLoading && <Loader size="sm" m="sm" role="status" aria-label="Loading more" />}
    </div>
  );
}
