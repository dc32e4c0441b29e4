import type { ReactNode } from "react";

/** Rows by index, such as an array. */
export interface Sequence<Row> {
  readonly length: number;
  at: (index: number) => Row | undefined;
}

/** A column of a table. */
export interface Column<Row> {
  id: string;
  title: string;
  cell: (row: Row) => ReactNode;
  isNumber?: boolean;
  /** The API's order field of the column, if there is one. */
  order?: string;
}

/** The order of a table. */
export interface Order {
  field: string;
  direction: "ASC" | "DESC";
}
