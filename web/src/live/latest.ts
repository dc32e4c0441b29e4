import type { Sequence } from "../ui/rows";

/**
 * The latest of many rows, newest first: a ring, so that each row costs the same.
 * A row stays JSON until it is looked at.
 */
export class Latest<Row> implements Sequence<Row> {
  /** How many there were in all. */
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

  /** Adds rows as JSON, the oldest first, after some that are counted alone. */
  add(rows: string[], skipped: number): void {
    this.count += rows.length + skipped;
    for (const row of rows) {
      this.#ring[this.#next] = row;
      this.#next = (this.#next + 1) % this.#capacity;
    }
  }
}
