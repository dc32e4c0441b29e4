import { Loader } from "@mantine/core";
import { type ColumnDef, tableFeatures, useTable } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type ReactNode, useEffect, useMemo, useRef } from "react";

const features = tableFeatures({});
const ROW_HEIGHT = 44;

/** A column of a table. */
export interface Column<Row> {
  id: string;
  title: string;
  cell: (row: Row) => ReactNode;
  isNumber?: boolean;
  /** The field to order by, where the API has one. */
  order?: string;
}

/** Which way a table is ordered. */
export interface Order {
  field: string;
  direction: "ASC" | "DESC";
}

interface Properties<Row> {
  label: string;
  columns: Column<Row>[];
  rows: Row[];
  order?: Order;
  onOrder?: (order: Order) => void;
  /** Called when the reader comes near the end, where there is more. */
  onEnd?: () => void;
  isLoading?: boolean;
}

/**
 * A table that draws the rows in view alone, so that any number of them scrolls smoothly. Rows have
 * one height.
 */
export function Rows<Row extends { id: string }>(properties: Properties<Row>) {
  const { label, columns, rows, order, onOrder, onEnd, isLoading = false } = properties;
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
  const table = useTable({ features, columns: definitions, data: rows, getRowId: (row) => row.id });
  const scroller = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_HEIGHT,
    overscan: 12,
  });
  const items = virtual.getVirtualItems();
  const first = items[0];
  const last = items.at(-1);
  const model = table.getRowModel().rows;
  const isAtEnd = last !== undefined && last.index >= rows.length - 30;
  useEffect(() => {
    if (isAtEnd && !isLoading) onEnd?.();
  }, [isAtEnd, isLoading, onEnd]);

  const of = new Map(columns.map((column) => [column.id, column]));
  return (
    <div className="rows" ref={scroller} role="group" aria-label={label} tabIndex={0}>
      <table aria-rowcount={onEnd ? -1 : rows.length + 1}>
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id} aria-rowindex={1}>
              {group.headers.map((header) => (
                <Header
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
              <td colSpan={columns.length} style={{ height: first.start }} />
            </tr>
          )}
          {items.map(({ index }) => {
            const row = model[index];
            return (
              row && (
                <tr key={row.id} aria-rowindex={index + 2}>
                  {row.getAllCells().map((cell) => (
                    <td
                      key={cell.id}
                      className={of.get(cell.column.id)?.isNumber ? "number" : undefined}
                    >
                      <table.FlexRender cell={cell} />
                    </td>
                  ))}
                </tr>
              )
            );
          })}
          {last !== undefined && virtual.getTotalSize() > last.end && (
            <tr className="space" aria-hidden>
              <td colSpan={columns.length} style={{ height: virtual.getTotalSize() - last.end }} />
            </tr>
          )}
        </tbody>
      </table>
      {isLoading && <Loader size="sm" m="sm" role="status" aria-label="Loading more" />}
    </div>
  );
}

function Header<Row>({
  column,
  order,
  onOrder,
}: {
  column: Column<Row>;
  order?: Order;
  onOrder?: (order: Order) => void;
}) {
  const { order: field, title, isNumber } = column;
  const className = isNumber ? "number" : undefined;
  if (field === undefined || onOrder === undefined) {
    return (
      <th scope="col" className={className}>
        {title}
      </th>
    );
  }
  const direction = order?.field === field ? order.direction : undefined;
  // numbers and times are looked at from the largest on
  const next = direction === undefined ? (isNumber ? "DESC" : "ASC") : direction === "ASC" ? "DESC" : "ASC";
  return (
    <th
      scope="col"
      className={className}
      aria-sort={direction && (direction === "ASC" ? "ascending" : "descending")}
    >
      <button type="button" onClick={() => onOrder({ field, direction: next })}>
        {title}
        <span aria-hidden>{direction === undefined ? "" : direction === "ASC" ? " ↑" : " ↓"}</span>
      </button>
    </th>
  );
}
