import type { Sequence } from "../ui/table";

/**
 * The latest of many rows, newest first, in a ring buffer, so that adding a row takes constant time.
 * A row is parsed from JSON when it is read.
 */
export class Latest<Row> implements Sequence<Row> {
  /** The number of rows so far. */
  count = 0;
  readonly #capacity: number;
  readonly #ring: string[] = [];
  #next = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get length(): number {
    return this.#ring.length;
  }

  at(index: number): Row | undefined {
    const { length } = this.#ring;
    const row = index < 0 ? undefined : this.#ring[(this.#next - 1 - index + 2 * length) % length];
    return index >= length || row === undefined ? undefined : (JSON.parse(row) as Row);
  }

  /** Adds rows as JSON, oldest first. `skipped` earlier rows are only counted. */
  add(rows: string[], skipped: number): void {
    this.count += rows.length + skipped;
    for (const row of rows) {
      this.#ring[this.#next] = row;
      this.#next = (this.#next + 1) % this.#capacity;
    }
  }
}
