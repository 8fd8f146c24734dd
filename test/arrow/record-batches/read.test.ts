import { describe, expect, it } from "vitest";
import { toRecordBatches } from "../../../shared/arrow/record-batches.ts";
import type { Row, RowSource } from "../../../shared/contract/stream-reader.ts";
import { batchesOf, place, refusal, row, rowsIn, schema, upTo } from "./batches-of.ts";

describe("the result of read()", () => {
  it.each<[unknown, string]>([
    [undefined, "undefined"],
    [null, "null"],
    [7, "an integer"],
    ["rows", "a string of 4 characters"],
    [{ id: 1 }, "an object"],
    [Promise.resolve([]), "an instance of Promise"],
    [() => [], "a function"],
  ])("The value that read() returns must be iterable: not %o", async (source, words) => {
    expect(await refusal(source)).toMatchObject({
      code: "READ_NOT_ITERABLE",
      message: `read() must give an iterable of rows, but gave ${words}`,
      where: place,
    });
  });

  it("An error of the source passes on as it is, after the record batches before it", async () => {
    const boom = new Error("boom");
    const seen: number[] = [];
    async function* failing(): AsyncGenerator<Row> {
      yield* upTo(10_001);
      throw boom;
    }
    const reading = (async () => {
      for await (const batch of toRecordBatches(schema, failing(), place)) seen.push(batch.numRows);
    })();
    await expect(reading).rejects.toBe(boom);
    expect(seen).toEqual([10_000]);
  });

  it.each(["sync", "async"])(
    "The iterator of read() is closed when its reader stops early and when a row does not fit: %s",
    async (kind) => {
      let closed = 0;
      function* rows(last: unknown): Generator<unknown> {
        try {
          for (let i = 0; i < 20_000; i++) yield row(i);
          yield last;
        } finally {
          closed++;
        }
      }
      async function* later(last: unknown): AsyncGenerator<unknown> {
        yield* rows(last);
      }
      const source = (last: unknown) => (kind === "sync" ? rows(last) : later(last));
      for await (const _batch of toRecordBatches(schema, source(row(0)) as RowSource, place)) break;
      expect(closed).toBe(1);
      expect((await refusal(source(5))).where.row).toBe(20_001);
      expect(closed).toBe(2);
    },
  );

  it.each(["sync", "async"])(
    "The iterator of read() is not asked for more rows than a record batch needs: %s",
    async (kind) => {
      let asked = 0;
      function* rows(): Generator<Row> {
        for (; ; asked++) yield row(asked);
      }
      async function* later(): AsyncGenerator<Row> {
        yield* rows();
      }
      const batches = toRecordBatches(schema, kind === "sync" ? rows() : later(), place);
      await batches.next();
      expect(asked).toBe(9_999);
      await batches.return();
    },
  );

  it("A row that does not fit is the error even if the source fails again when it is closed", async () => {
    async function* rows(): AsyncGenerator<unknown> {
      try {
        yield 5;
      } finally {
        // biome-ignore lint/correctness/noUnsafeFinally: a source may do so.
        throw new Error("closing failed");
      }
    }
    expect((await refusal(rows())).code).toBe("ROW_NOT_A_ROW");
  });

  it("An iterator of read() may be hand-made, fail at once or later, or answer without a promise", async () => {
    const boom = new Error("boom");
    const of = (next: () => unknown) => ({ [Symbol.asyncIterator]: () => ({ next }) });
    const thrown = async (source: unknown) => await batchesOf(source).catch((error: unknown) => error);
    const fail = (): never => {
      throw boom;
    };
    expect(await thrown(of(fail))).toBe(boom);
    expect(await thrown(of(() => Promise.reject(boom)))).toBe(boom);
    const answers = [
      { value: row(1), done: false },
      { value: undefined, done: true },
    ];
    expect(rowsIn(await batchesOf(of(() => answers.shift())))).toEqual([row(1)]);
  });
});
