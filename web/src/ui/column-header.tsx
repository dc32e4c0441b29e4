import type { Column, Order } from "./table";

/** The header of a column. It orders the table if the API supports it. */
export function ColumnHeader<Row>({
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
  // the first click orders numbers from the largest
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
