import { Decimal, Field, makeData, RecordBatch, Schema, Struct, Table, tableFromArrays } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { recordBatchOf, toRecordBatches } from "../../../shared/arrow/record-batches.ts";
import { rowsOf } from "../../../shared/arrow/rows.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";
import type { Row, RowSource } from "../../../shared/contract/stream-reader.ts";

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
    expect(sizes(await batchesOf(many, parseDdl("b binary")))).toEqual([16, 16, 16, 16, 6]);
  });

  it.each([1, 64, 10_000, 10_001, 20_003])("are numbered from 1 in errors: row %d", async (number) => {
    const rows = upTo(number + 5);
    rows[number - 1] = { id: "x", name: "secret name" };
    expect(await refusal(rows)).toMatchObject({
      code: "ROW_MISMATCH",
      message: `row ${number}, field "id": expected int, found a string of 1 character`,
      where: { ...place, row: number, field: "id" },
      found: '"x"',
    });
  });

  it("are numbered across record batches that passed through", async () => {
    const passing = recordBatchOf(schema, upTo(3));
    expect((await refusal([row(1), row(2), passing, row(4), [1]])).where.row).toBe(7);
  });

  it("may be promises, which are waited for", async () => {
    expect(rowsIn(await batchesOf([Promise.resolve(row(1)), row(2)]))).toEqual([row(1), row(2)]);
  });

  it("may be the same object each time, with other values", async () => {
    function* reused(): Generator<Row> {
      const one: Record<string, unknown> = {};
      for (let id = 0; id < 3; id++) yield Object.assign(one, { id, name: `n${id}` });
    }
    expect(rowsIn(await batchesOf(reused()))).toEqual(upTo(3));
  });

  it.each<[unknown, string]>([
    [{ user_id: 1 }, 'expected bigint, found nothing (the row has "user_id")'],
    [{ UserID: 1, name: "a", other: 2 }, 'expected bigint, found nothing (the row has "UserID")'],
    [{ userld: 1, other: 2 }, 'expected bigint, found nothing (the row has "userld")'],
    [{ a: 1, b: 2 }, 'expected bigint, found nothing (the row has "a", "b")'],
    [
      { a: 1, b: 2, c: 3, d: 4, e: 5, f: 6, g: 7 },
      'expected bigint, found nothing (the row has "a", "b", "c", "d", "e" and 2 more)',
    ],
    [{ ["x".repeat(50)]: 1 }, `expected bigint, found nothing (the row has "${"x".repeat(39)}…")`],
    [{}, "expected bigint, found nothing"],
  ])("without a field get the names that they have instead: %o", async (bad, problem) => {
    const error = await refusal([bad], parseDdl("userId bigint"));
    expect(error.message).toBe(`row 1, field "userId": ${problem}`);
    expect(error.found).toBeUndefined();
  });

  it("get the hint to rename a field that is there under another name", async () => {
    expect((await refusal([{ user_id: 1 }], parseDdl("userId bigint"))).hint).toBe(
      'Call it "userId" in read(), or "user_id" in the schema.',
    );
  });

  it("get it also where two letters changed places, and inside a struct", async () => {
    expect((await refusal([{ nmae: "a" }], parseDdl("name string"))).hint).toBe(
      'Call it "name" in read(), or "nmae" in the schema.',
    );
    const nested = await refusal([{ place: { ZIP: 1 } }], parseDdl("place struct<zip:int>"));
    expect(nested.hint).toBe('In "place" call it "zip" in read(), or "ZIP" in the schema.');
  });

  it.each<[string, unknown, string]>([
    [
      "id bigint, name string",
      [{ id: 1 }, { id: 2 }],
      "To yield the rows of an array one by one, write yield* instead of yield.",
    ],
    [
      "id bigint, name string",
      [
        [1, "a"],
        [2, "b"],
      ],
      "To yield the rows of an array one by one, write yield* instead of yield.",
    ],
    [
      "a struct<x:int>, b struct<x:int>",
      [{ x: "a" }, { x: 1 }],
      'Convert "a.x" in read(), or change its type in the schema.',
    ],
    [
      "id bigint, name string",
      ["a", 1],
      "The values fit in the order (name, id): yield them in the order of the schema, (id, name).",
    ],
    [
      "id bigint, name string, at date",
      ["a", "2026-01-01", 1],
      "The values fit in the order (name, at, id): yield them in the order of the schema, (id, name, at).",
    ],
    ["id bigint, name string", ["a", "b"], 'Convert "id" in read(), or change its type in the schema.'],
    ["id bigint, name string", ["a", null], 'Convert "id" in read(), or change its type in the schema.'],
    [
      "id bigint, name string",
      ["1", null],
      'Yield BigInt(value) for "id", or make it a string in the schema.',
    ],
    ["id bigint", { id: "-12" }, 'Yield BigInt(value) for "id", or make it a string in the schema.'],
    ["n int", { n: "12" }, 'Yield Number(value) for "n", or make it a string in the schema.'],
    ["n int", { n: "12 km" }, 'Convert "n" in read(), or change its type in the schema.'],
    ["n int NOT NULL", { n: null }, 'Give "n" a value, leave the row out, or drop NOT NULL from the schema.'],
  ])("of (%s) that do not fit get a hint that fits: %j", async (ddl, bad, hint) => {
    expect((await refusal([bad], parseDdl(ddl))).hint).toBe(hint);
  });

  it("that are Maps get the hint to make objects of them", async () => {
    expect((await refusal([new Map([["id", 1]])])).hint).toBe(
      "Yield Object.fromEntries(row) in place of a Map.",
    );
  });

  it("in an array that is yielded whole get the hint to yield each", async () => {
    expect(await refusal([upTo(3)])).toMatchObject({
      code: "ROW_MISMATCH",
      message: "row 1: expected 2 values (id, name), found 3",
      hint: "To yield the rows of an array one by one, write yield* instead of yield.",
    });
  });

  it("end a record batch early though each is larger than one should be", async () => {
    const blob = new Uint8Array(17 * 1024 * 1024);
    expect(sizes(await batchesOf([[blob], [blob], [blob]], parseDdl("b binary")))).toEqual([1, 1, 1]);
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
    expect(nested.message).toBe('row 1, field "s.constructor": expected string, found nothing');
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
    [new Set([1, 2]), "an instance of Set"],
    [new Date(0), "an instance of Date"],
    [() => row(1), "a function"],
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

  it.each(["sync", "async"])(
    "is closed when nobody reads on, and where a row does not fit: %s",
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

  it.each(["sync", "async"])("is not asked for more rows than a record batch needs: %s", async (kind) => {
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
  });

  it("fails with what did not fit, though the source fails again when it is closed", async () => {
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

  it("may be an async iterator of another make, which fails at once or later, or answers without a promise", async () => {
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
      message: `record batch 1: expected (id int, name string), found (${found})`,
      where: place,
    });
  });

  it("with a null where the schema says NOT NULL are refused", async () => {
    const nullable = recordBatchOf(parseDdl("id int, name string"), [
      { id: 1, name: "a" },
      { id: null, name: "b" },
    ]);
    expect(await refusal([row(1), nullable])).toMatchObject({
      code: "BATCH_SCHEMA_MISMATCH",
      message: 'record batch 1, field "id": expected no null (NOT NULL), found one',
      where: { ...place, field: "id" },
      hint: "Leave such rows out, or let the field be null in the schema.",
    });
  });

  it("with such a null in a struct are refused, but not where the struct itself is null", async () => {
    const strict = parseDdl("s struct<x:struct<y:int NOT NULL>>");
    const loose = parseDdl("s struct<x:struct<y:int>>");
    const fine = [{ s: null }, { s: { x: null } }, { s: { x: { y: 1 } } }];
    const error = await refusal([recordBatchOf(loose, [...fine, { s: { x: { y: null } } }])], strict);
    expect(error).toMatchObject({ code: "BATCH_SCHEMA_MISMATCH", where: { field: "s.x.y" } });
    expect(rowsIn(await batchesOf([recordBatchOf(loose, fine), ...fine], strict))).toEqual([
      ...fine,
      ...fine,
    ]);
  });

  it("whose decimals have another width are refused", async () => {
    const type = new Decimal(2, 5, 256);
    const wide = new Schema([new Field("v", type, true)]);
    const child = makeData({ type, length: 1, nullCount: 0, data: new Uint32Array(8).fill(1, 0, 1) });
    const data = makeData({ type: new Struct(wide.fields), length: 1, nullCount: 0, children: [child] });
    const error = await refusal([new RecordBatch(wide, data)], parseDdl("v decimal(5,2)"));
    expect(error.message).toBe("record batch 1: expected (v decimal(5,2)), found (v decimal256(5,2))");
  });

  it.each<[string, RecordBatch, string]>([
    ["lacks columns", recordBatchOf(parseDdl("id int"), []), '"name" is missing.'],
    [
      "has many more",
      recordBatchOf(parseDdl("id int, name string, a int, b int, c int, d int, e int, f int"), []),
      '"a", "b", "c", "d", "e" and 1 more are not in the schema: add it there, or yield batch.select(["id", "name"]).',
    ],
    [
      "has dictionaries, as Arrow makes them",
      tableFromArrays({ id: Int32Array.of(1), name: ["a"] }).batches[0] as RecordBatch,
      '"name" must be string, not Dictionary<Int32, Utf8>: Arrow makes dictionaries of strings where it is not told the type, as in vectorFromArray(values, new Utf8()).',
    ],
  ])("get a hint where one %s", async (_, batch, hint) => {
    expect((await refusal([batch])).hint).toBe(hint);
  });

  it("may be in a table, alone or among rows, and in what read() gives", async () => {
    const table = new Table([recordBatchOf(schema, upTo(3)), recordBatchOf(schema, upTo(1))]);
    const batches = await batchesOf([row(7), table, row(8)]);
    expect(sizes(batches)).toEqual([1, 3, 1, 1]);
    expect(rowsIn(batches)).toEqual([row(7), ...upTo(3), ...upTo(1), row(8)]);
    expect(sizes(await batchesOf(table))).toEqual([3, 1]);
    expect(rowsIn(await batchesOf(recordBatchOf(schema, upTo(3))))).toEqual(upTo(3));
  });

  it("of a table keep their microseconds, which Arrow's own rows do not", async () => {
    const times = parseDdl("t timestamp");
    const rows = [{ t: "2026-11-21T03:00:00.000001Z" }];
    expect(rowsIn(await batchesOf(new Table([recordBatchOf(times, rows)]), times))).toEqual(rows);
  });

  it.each([
    ["without rows", new Table(parseDdl("id bigint"))],
    ["with rows", new Table([recordBatchOf(parseDdl("id bigint"), [{ id: 1 }])])],
  ])("in a table of another schema are refused, %s", async (_, table) => {
    expect(await refusal([row(1), table])).toMatchObject({
      code: "BATCH_SCHEMA_MISMATCH",
      message: "table 1: expected (id int, name string), found (id bigint)",
    });
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
