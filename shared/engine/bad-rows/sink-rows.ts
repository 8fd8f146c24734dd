import type { BadContent, BadRowSink } from "../../contract/bad-rows.ts";
import type { MillraceError } from "../../contract/errors.ts";
import type { Pipeline } from "../../contract/pipeline.ts";

/**
 * Takes the rows that a sink refuses. A row that has passed steps is marked, because it cannot pass
 * them again when it is sent again.
 */
export class SinkBadRows implements BadRowSink {
  readonly #badRows: BadRowSink;
  readonly #hasSteps: boolean;
  /** Number of rows so far. */
  rows = 0;

  constructor(badRows: BadRowSink, { source }: Pick<Pipeline, "source">) {
    this.#badRows = badRows;
    this.#hasSteps = source.steps !== undefined;
  }

  /** Throws `BAD_ROWS_TOO_MANY`. */
  add(error: MillraceError, content: BadContent): void {
    this.rows++;
    const isMarked = this.#hasSteps && "row" in content;
    this.#badRows.add(error, isMarked ? { ...content, afterSteps: true } : content);
  }
}
