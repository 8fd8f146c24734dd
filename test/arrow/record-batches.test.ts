import type { RecordBatch } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { recordBatchOf, toRecordBatches } from "../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { parseDdl } from "../../shared/contract/schema.ts";
import type { Row, RowSource } from "../../shared/contract/stream-reader.ts";

const schema = parseDdl("id int NOT NULL, name string");
const place = { pipeline: "p", batchId: 4, partition: 1 };

const batchesOf = async (source: unknown, of = schema): Promise<RecordBatch[]> =>
  await Array.fromAsync(toRecordBatches(of, source as RowSource, place));
const rowsIn = (batches: readonly RecordBatch[]): unknown[] => batches.flatMap((batch) => [...rowsOf(batch)]);
const sizes = (batches: readonly RecordBatch[]): number[] => batches.map((batch) => batch.numRows);

async function refusal(source: unknown, of = schema): Promise<MillraceError> {
  const error: unknown = await batchesOf(source, of).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!MillraceError.is(error)) throw new Error("no MillraceError", { cause: error });
  return error;
}

const row = (id: number): Row => ({ id, name: `n${id}` });
const upTo = (count: number): Row[] => Array.from({ length: count }, (_, i) => row(i));

describe("rows", () => {
  it("come by name, in any order, and by position", async () => {
    class Named {
      readonly name = "c";
      readonly id = 3;
    }
    const bare: Record<string, unknown> = Object.assign(Object.create(null), { id: 4, name: null });
    expect(rowsIn(await batchesOf([{ name: "a", id: 1 }, [2, "b"], new Named(), bare]))).toEqual([
      { id: 1, name: "a" },
      { id: 2, name: "b" },
      { id: 3, name: "c" },
      { id: 4, name: null },
    ]);
  });

  it("come from sync and async iterables", async () => {
    async function* later(): AsyncGenerator<Row> {
      yield row(1);
      yield row(2);
    }
    expect(rowsIn(await batchesOf(new Set([row(1), row(2)])))).toEqual(rowsIn(await batchesOf(later())));
  });

  it("leave out what the schema does not have", async () => {
    expect(rowsIn(await batchesOf([{ ...row(1), more: 1n }]))).toEqual([row(1)]);
  });

  it("give no record batch where there are none", async () => {
    expect(await batchesOf([])).toEqual([]);
  });

  it("are gathered 10,000 to a record batch, in order", async () => {
    const batches = await batchesOf(upTo(25_000));
    expect(sizes(batches)).toEqual([10_000, 10_000, 5_000]);
    expect(rowsIn(batches)).toEqual(upTo(25_000));
    expect(sizes(await batchesOf(upTo(10_000)))).toEqual([10_000]);
  });

  it("end a record batch early once it holds 16 MiB", async () => {
    const blob = new Uint8Array(1024 * 1024);
    const many = Array.from({ length: 70 }, () => [blob]);
    expect(sizes(await batchesOf(many, parseDdl("b binary")))).toEqual([64, 6]);
  });

  it.each([1, 64, 10_000, 10_001, 20_003])("are numbered from 1 in errors: row %d", async (number) => {
    const rows = upTo(number + 5);
    rows[number - 1] = { id: "x", name: "secret name" };
    expect(await refusal(rows)).toMatchObject({
      code: "ROW_MISMATCH",
      message: `row ${number}, field "id": expected int, found a string of 1 characters`,
      where: { ...place, row: number, field: "id" },
      found: '"x"',
    });
  });

  it("are numbered across record batches that passed through", async () => {
    const passing = recordBatchOf(schema, upTo(3));
    expect((await refusal([row(1), row(2), passing, row(4), [1]])).where.row).toBe(7);
  });

  it("must have every field of the schema", async () => {
    for (const bad of [{ id: 1 }, { id: 1, name: undefined }]) {
      const error = await refusal([row(1), bad]);
      expect(error).toMatchObject({
        code: "ROW_MISMATCH",
        message: 'row 2, field "name": expected string, found nothing',
        where: { row: 2, field: "name" },
        hint: 'Yield every field of the schema in each row; give null where "name" has no value.',
      });
      expect(error.found).toBeUndefined();
    }
  });

  it("lack a field also where every JavaScript object inherits one of that name", async () => {
    const error = await refusal([{ id: 1 }], parseDdl("id int, constructor string"));
    expect(error.message).toBe('row 1, field "constructor": expected string, found nothing');
    const nested = await refusal([{ s: {} }], parseDdl("s struct<constructor:string>"));
    expect(nested.message).toBe('row 1, field "s.constructor": expected a value or null, found nothing');
  });

  it.each([[[1]], [[1, "a", 2]], [[]]])("by position must have one value a field: not %o", async (bad) => {
    expect(await refusal([bad])).toMatchObject({
      code: "ROW_MISMATCH",
      message: `row 1: expected 2 values (id, name), found ${bad.length}`,
      where: { ...place, row: 1 },
      found: JSON.stringify(bad),
    });
  });

  it.each<[unknown, string]>([
    [null, "null"],
    [undefined, "undefined"],
    [7, "an integer"],
    ["ab", "a string of 2 characters"],
    [new Map([["id", 1]]), "an instance of Map"],
    [new Uint8Array(2), "an instance of Uint8Array"],
  ])("are objects or arrays: not %o", async (bad, words) => {
    expect(await refusal([row(1), bad])).toMatchObject({
      code: "ROW_NOT_A_ROW",
      message: `row 2: expected an object or an array, found ${words}`,
      where: { ...place, row: 2 },
    });
  });
});

describe("what read() gives", () => {
  it.each<[unknown, string]>([
    [undefined, "undefined"],
    [null, "null"],
    [7, "an integer"],
    ["rows", "a string of 4 characters"],
    [{ id: 1 }, "an object"],
    [Promise.resolve([]), "an instance of Promise"],
    [() => [], "a function"],
  ])("must be iterable: not %o", async (source, words) => {
    expect(await refusal(source)).toMatchObject({
      code: "READ_NOT_ITERABLE",
      message: `read() must give an iterable of rows, but gave ${words}`,
      where: place,
    });
  });

  it("passes an error of the source on as it is, after the record batches before it", async () => {
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

  it("is closed when nobody reads on", async () => {
    let isClosed = false;
    function* endless(): Generator<Row> {
      try {
        for (let i = 0; ; i++) yield row(i);
      } finally {
        isClosed = true;
      }
    }
    for await (const _batch of toRecordBatches(schema, endless(), place)) break;
    expect(isClosed).toBe(true);
  });
});

describe("record batches", () => {
  it("pass through whole, in order with the rows around them", async () => {
    const passing = recordBatchOf(schema, upTo(3));
    const batches = await batchesOf([row(7), row(8), passing, passing, row(9)]);
    expect(sizes(batches)).toEqual([2, 3, 3, 1]);
    expect(rowsIn(batches)).toEqual([row(7), row(8), ...upTo(3), ...upTo(3), row(9)]);
  });

  it.each([
    ["id int", "id int"],
    ["name string, id int", "name string, id int"],
    ["id bigint, name string", "id bigint, name string"],
    ["id int, Name string", "id int, Name string"],
    ["id int, name string, more int", "id int, name string, more int"],
  ])("of (%s) are refused", async (ddl, found) => {
    expect(await refusal([recordBatchOf(parseDdl(ddl), [])])).toMatchObject({
      code: "BATCH_SCHEMA_MISMATCH",
      message: `read() gave a record batch of (${found}), but the schema is (id int, name string)`,
      where: place,
    });
  });

  it("with a null where the schema says NOT NULL are refused", async () => {
    const nullable = recordBatchOf(parseDdl("id int, name string"), [{ id: null, name: "a" }]);
    expect((await refusal([nullable])).code).toMatch(/MISMATCH/);
  });

  it("without such a null may call the column nullable", async () => {
    const nullable = recordBatchOf(parseDdl("id int, name string"), upTo(2));
    expect(rowsIn(await batchesOf([nullable]))).toEqual(upTo(2));
  });
});

describe("recordBatchOf", () => {
  it("gives one record batch of any number of rows", () => {
    expect([0, 3, 20_000].map((count) => recordBatchOf(schema, upTo(count)).numRows)).toEqual([0, 3, 20_000]);
    expect(rowsIn([recordBatchOf(schema, upTo(20_000))])).toEqual(upTo(20_000));
  });
});
