import type { RecordBatch, Schema } from "apache-arrow";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { Scratch } from "../../contract/scratch.ts";
import { FrameDecoder, FrameEncoder } from "../exchange/parts.ts";
import { ArrowFormatError } from "../ipc/format-error.ts";

/** A sorted run of rows that was put aside. */
export interface Run {
  readonly id: number;
  /** Where each of its record batches ends. */
  readonly ends: readonly number[];
}

/** Puts sorted runs of rows aside and reads them again. Error: `SPILL_FAILED`. */
export class Runs {
  readonly #scratch: Scratch;
  readonly #encoder: FrameEncoder;
  readonly #decoder: FrameDecoder;
  readonly #where: ErrorLocation;
  readonly #live = new Set<number>();
  #next = 0;

  constructor(scratch: Scratch, schema: Schema, where: ErrorLocation) {
    this.#scratch = scratch;
    this.#encoder = new FrameEncoder(schema);
    this.#decoder = new FrameDecoder(schema);
    this.#where = where;
  }

  async write(batches: AsyncIterable<RecordBatch> | Iterable<RecordBatch>): Promise<Run> {
    const id = this.#next++;
    this.#live.add(id);
    const ends: number[] = [];
    const encoder = this.#encoder;
    const failure: { error?: unknown } = {};
    async function* chunks() {
      let end = 0;
      try {
        for await (const batch of batches) {
          const frame = encoder.encode(batch);
          end += frame.length;
          ends.push(end);
          yield frame;
        }
      } catch (error) {
        failure.error = error;
        throw error;
      }
    }
    await this.#guard(() => this.#scratch.write(id, chunks()), failure);
    return { id, ends };
  }

  /** Reads a record batch of a run, or `undefined` after the last one. */
  async read({ id, ends }: Run, index: number): Promise<RecordBatch | undefined> {
    const end = ends[index];
    if (end === undefined) return undefined;
    const start = ends[index - 1] ?? 0;
    return await this.#guard(async () => {
      const bytes = await this.#scratch.read(id, start, end);
      const frame = this.#decoder.next(bytes);
      if (frame?.size !== end - start) throw new ArrowFormatError("it is cut off or gone");
      return frame.batch;
    });
  }

  async delete(runs: readonly Run[]): Promise<void> {
    const ids = runs.map(({ id }) => id);
    await this.#guard(() => this.#scratch.delete(ids));
    for (const id of ids) this.#live.delete(id);
  }

  /** Deletes all runs, also those that were not written to their end. */
  async deleteAll(): Promise<void> {
    if (this.#live.size > 0) await this.#guard(() => this.#scratch.delete([...this.#live]));
    this.#live.clear();
  }

  /** The error of the rows themselves is passed on as it is. */
  async #guard<T>(body: () => Promise<T>, rows: { readonly error?: unknown } = {}): Promise<T> {
    try {
      return await body();
    } catch (error) {
      if ("error" in rows) throw rows.error;
      if (MillraceError.is(error)) throw error;
      throw new MillraceError("SPILL_FAILED", `rows put aside for a sort: ${messageOf(error)}`, {
        where: this.#where,
        hint: "See if the disk is full, and that no other program deletes temporary files.",
        retryable: true,
        cause: error,
      });
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
