import { VisuallyHidden } from "@mantine/core";
import type { Sequence } from "./table";

/** The selected rows of a table, by ID. */
export type Chosen<Row> = ReadonlyMap<string, Row>;

/** The selection of a table, and the accessible names of its rows. */
export interface Choice<Row> {
  chosen: Chosen<Row>;
  onChoose: (chosen: Chosen<Row>) => void;
  nameOf: (row: Row) => string;
}

/** The cell that selects a row. */
export function ChooseOne<Row extends { id: string }>({ choice, row }: { choice: Choice<Row>; row: Row }) {
  const { chosen, onChoose, nameOf } = choice;
  const change = () => {
    const next = new Map(chosen);
    if (!next.delete(row.id)) next.set(row.id, row);
    onChoose(next);
  };
  return (
    <td className="choice">
      <input
        type="checkbox"
        aria-label={`Select ${nameOf(row)}`}
        checked={chosen.has(row.id)}
        onChange={change}
      />
    </td>
  );
}

/** The header that selects all loaded rows, or none. */
export function ChooseAll<Row extends { id: string }>({
  choice: { chosen, onChoose },
  rows,
}: {
  choice: Choice<Row>;
  rows: Sequence<Row>;
}) {
  const isAll = rows.length > 0 && chosen.size === rows.length;
  const change = () => {
    const next = new Map<string, Row>();
    for (let index = 0; index < rows.length && !isAll; index++) {
      const row = rows.at(index);
      if (row) next.set(row.id, row);
    }
    onChoose(next);
  };
  return (
    <th scope="col" className="choice">
      <VisuallyHidden>Selected</VisuallyHidden>
      <input type="checkbox" aria-label="Select all loaded rows" checked={isAll} onChange={change} />
    </th>
  );
}
