import { describe, expect, it } from "vitest";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { Row } from "../../../shared/contract/stream-reader.ts";
import { batchesOf, place, refusal, row, rowsIn, schema, sizes, upTo } from "./batches-of.ts";

describe("rows", () => {
  it("Rows come by name, in any order, and by position", async () => {
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

  it("Rows come from sync and async iterables", async () => {
    async function* later(): AsyncGenerator<Row> {
      yield row(1);
      yield row(2);
    }
    expect(rowsIn(await batchesOf(new Set([row(1), row(2)])))).toEqual(rowsIn(await batchesOf(later())));
  });

  it("Rows leave out fields that the schema does not have", async () => {
    expect(rowsIn(await batchesOf([{ ...row(1), more: 1n }]))).toEqual([row(1)]);
  });

  it("An iterable without rows makes no record batch", async () => {
    expect(await batchesOf([])).toEqual([]);
  });

  it("Rows are gathered 10,000 to a record batch, in order", async () => {
    const batches = await batchesOf(upTo(25_000));
    expect(sizes(batches)).toEqual([10_000, 10_000, 5_000]);
    expect(rowsIn(batches)).toEqual(upTo(25_000));
    expect(sizes(await batchesOf(upTo(10_000)))).toEqual([10_000]);
  });

  it("Rows end a record batch early once it holds 16 MiB", async () => {
    const blob = new Uint8Array(1024 * 1024);
    const many = Array.from({ length: 70 }, () => [blob]);
    expect(sizes(await batchesOf(many, parseDdl("b binary")))).toEqual([16, 16, 16, 16, 6]);
  });

  it.each([1, 64, 10_000, 10_001, 20_003])("Rows are numbered from 1 in errors: row %d", async (number) => {
    const rows = upTo(number + 5);
    rows[number - 1] = { id: "x", name: "secret name" };
    expect(await refusal(rows)).toMatchObject({
      code: "ROW_MISMATCH",
      message: `row ${number}, field "id": expected int, found a string of 1 character`,
      where: { ...place, row: number, field: "id" },
      found: '"x"',
    });
  });

  it("Rows are numbered across record batches that passed through", async () => {
    const passing = recordBatchOf(schema, upTo(3));
    expect((await refusal([row(1), row(2), passing, row(4), [1]])).where.row).toBe(7);
  });

  it("Rows may be promises, which are awaited", async () => {
    expect(rowsIn(await batchesOf([Promise.resolve(row(1)), row(2)]))).toEqual([row(1), row(2)]);
  });

  it("Rows may be the same object each time, with other values", async () => {
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
  ])("The error of rows without a field lists the names that they have instead: %o", async (bad, problem) => {
    const error = await refusal([bad], parseDdl("userId bigint"));
    expect(error.message).toBe(`row 1, field "userId": ${problem}`);
    expect(error.found).toBeUndefined();
  });

  it("The error of a missing field suggests to rename a field of nearly the same name", async () => {
    expect((await refusal([{ user_id: 1 }], parseDdl("userId bigint"))).hint).toBe(
      'Call it "userId" in read(), or "user_id" in the schema.',
    );
  });

  it("The suggestion to rename covers swapped letters and fields inside a struct", async () => {
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
  ])("The error of a row that does not fit (%s) has a hint that fits: %j", async (ddl, bad, hint) => {
    expect((await refusal([bad], parseDdl(ddl))).hint).toBe(hint);
  });

  it("The error of a row that is a Map suggests to make an object of it", async () => {
    expect((await refusal([new Map([["id", 1]])])).hint).toBe(
      "Yield Object.fromEntries(row) in place of a Map.",
    );
  });

  it("The error of an array of rows that is yielded whole suggests to yield each row", async () => {
    expect(await refusal([upTo(3)])).toMatchObject({
      code: "ROW_MISMATCH",
      message: "row 1: expected 2 values (id, name), found 3",
      hint: "To yield the rows of an array one by one, write yield* instead of yield.",
    });
  });

  it("Rows end a record batch early even if each is larger than a record batch should be", async () => {
    const blob = new Uint8Array(17 * 1024 * 1024);
    expect(sizes(await batchesOf([[blob], [blob], [blob]], parseDdl("b binary")))).toEqual([1, 1, 1]);
  });

  it("A row must have every field of the schema", async () => {
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

  it("A row lacks a field even if every JavaScript object inherits a property of that name", async () => {
    const error = await refusal([{ id: 1 }], parseDdl("id int, constructor string"));
    expect(error.message).toBe('row 1, field "constructor": expected string, found nothing');
    const nested = await refusal([{ s: {} }], parseDdl("s struct<constructor:string>"));
    expect(nested.message).toBe('row 1, field "s.constructor": expected string, found nothing');
  });

  it.each([[[1]], [[1, "a", 2]], [[]]])(
    "A row by position must have one value for each field: not %o",
    async (bad) => {
      expect(await refusal([bad])).toMatchObject({
        code: "ROW_MISMATCH",
        message: `row 1: expected 2 values (id, name), found ${bad.length}`,
        where: { ...place, row: 1 },
        found: JSON.stringify(bad),
      });
    },
  );

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
  ])("A row must be an object or an array: not %o", async (bad, words) => {
    expect(await refusal([row(1), bad])).toMatchObject({
      code: "ROW_NOT_A_ROW",
      message: `row 2: expected an object or an array, found ${words}`,
      where: { ...place, row: 2 },
    });
  });
});
