import { type Data, makeData, RecordBatch, Schema, Struct } from "apache-arrow";
import { describe, expect, it } from "vitest";
import { selectColumns } from "../../../shared/arrow/select.ts";
import { memoryTable } from "../../../shared/connectors/memory/index.ts";
import type { MillraceError } from "../../../shared/contract/errors.ts";
import { EqualTo, GreaterThan, LessThan } from "../../../shared/contract/filters.ts";
import { pipeline } from "../../../shared/contract/pipeline.ts";
import { runPipeline } from "../../../shared/testing/index.ts";
import { itemStream, items, SCHEMA, SimpleItems, toMemory } from "./source.ts";

const rowsOf = async (source: { readonly configured: object }) => (await runPipeline(toMemory(source))).rows;
const typed = (settings = {}) => itemStream(settings).schema(SCHEMA);

/** Returns the error of a run. */
async function failure(source: { readonly configured: object }): Promise<MillraceError> {
  return (await runPipeline(toMemory(source)).catch((error: unknown) => error)) as MillraceError;
}

describe("steps", () => {
  it("Steps of a batch and of a stream run in the order in which they are written", async () => {
    const expected = [
      { label: "row 1!", id: 10 },
      { label: "row 2!", id: 20 },
    ];
    const ofBatch = items()
      .schema(SCHEMA)
      .filter((row) => row.id > 0n)
      .map(({ id, name }) => ({ id: id * 10n, label: `${name}!` }), "id bigint NOT NULL, label string")
      .filter(new LessThan("id", 30))
      .select("label", "id");
    expect(await rowsOf(ofBatch)).toEqual(expected);
    const ofStream = typed()
      .filter(new GreaterThan("id", 0))
      .map(async ({ id, name }) => [id * 10n, `${name}!`], "id bigint NOT NULL, label string")
      .filter(async (row) => row.id < 30n)
      .select("label", "id");
    expect(await rowsOf(ofStream)).toEqual(expected);
  });

  it("A row that a step gets fits the schema again, whatever its types are", async () => {
    const all =
      "a boolean, b bigint, c decimal(38,10), d binary, e map<bigint,binary>, f array<bigint>, g struct<x:bigint,y:timestamp>, h timestamp_ntz, i date, j time, k interval day to second, l double, m void";
    const row = {
      a: true,
      b: 2n ** 60n,
      c: "1234567890123456789012345678.0123456789",
      d: new Uint8Array([0, 255]),
      e: new Map([[1n, new Uint8Array([7])]]),
      f: [1n, null],
      g: { x: -1n, y: "2026-01-02T03:04:05.678901Z" },
      h: "2026-01-02T03:04:05.000",
      i: "2026-01-02",
      j: "03:04:05.678",
      k: "P1DT2H",
      l: Number.NaN,
      m: null,
    };
    const seen: unknown[] = [];
    const rows = [row, Object.fromEntries(Object.keys(row).map((name) => [name, null]))];
    const read = itemStream({ schema: all, rows });
    const same = read.map((each) => {
      seen.push(each);
      return { ...each };
    });
    expect(await rowsOf(same)).toEqual(await rowsOf(read));
    expect(seen[0]).toEqual(row);
  });

  it("flatMap makes any number of rows of each row, from arrays, generators and async ones", async () => {
    const times = typed().select("id").filter(new LessThan("id", 3));
    const expected = [1, 2, 2].map((id) => ({ id }));
    expect(await rowsOf(times.flatMap(({ id }) => Array(Number(id)).fill({ id })))).toEqual(expected);
    const generated = times.flatMap(function* ({ id }) {
      for (let i = 0; i < Number(id); i++) yield [id];
    });
    expect(await rowsOf(generated)).toEqual(expected);
    const awaited = times.flatMap(async function* ({ id }) {
      for (let i = 0; i < Number(id); i++) yield { id };
    });
    expect(await rowsOf(awaited)).toEqual(expected);
    expect(await rowsOf(times.flatMap(async ({ id }) => Array(Number(id)).fill({ id })))).toEqual(expected);
  });

  it("withColumns adds and replaces columns, and leaves the others as they are", async () => {
    const source = typed()
      .withColumns(
        { name: ({ name }) => name?.toUpperCase(), total: async ({ price }) => `${price}0` },
        "total decimal(12,3) NOT NULL",
      )
      .withColumns({ id: ({ id, total }) => id + BigInt(total.length) });
    const { rows } = await runPipeline(toMemory(source));
    expect(rows[2]).toEqual({ id: 7, name: "ROW 2", price: "2.50", total: "2.500" });
    expect(rows).toHaveLength(4);
  });

  it("mapBatches gets record batches and returns one, several or none", async () => {
    const halved = typed({ count: 40 }).mapBatches(function* (batch) {
      yield batch.slice(0, 5);
      yield batch.slice(5, 10);
    });
    expect((await rowsOf(halved)).map(({ id }) => id)).toEqual([
      ...Array.from({ length: 10 }, (_, id) => id),
      ...Array.from({ length: 10 }, (_, id) => 20 + id),
    ]);
    expect(await rowsOf(typed().mapBatches(() => []))).toEqual([]);
    const renamed = typed().mapBatches(async (batch) => {
      const { data } = selectColumns(batch, ["id"]);
      const schema = new Schema([batch.schema.fields[0]?.clone({ name: "key" }) as never]);
      const type = new Struct(schema.fields);
      const child = data.children[0] as Data;
      return new RecordBatch(
        schema,
        makeData({ type, length: batch.numRows, nullCount: 0, children: [child] }),
      );
    }, "key bigint NOT NULL");
    expect(await rowsOf(renamed)).toEqual([0, 1, 2, 3].map((key) => ({ key })));
  });

  it("Rows of a simple reader are stored as it returns them, and the steps are applied when they are written", async () => {
    const source = pipeline("p")
      .readStream.format(SimpleItems)
      .schema(SCHEMA)
      .map(({ id }) => ({ twice: id * 2n }), "twice bigint");
    expect(await rowsOf(source)).toEqual([0, 2].map((twice) => ({ twice })));
  });

  it("Rows are exchanged and sorted by columns that the steps have made", async () => {
    const source = typed({ count: 20 })
      .map(({ id }) => ({ group: Number(id % 2n), id }), "group int, id bigint")
      .repartition(2, "group")
      .sortWithinPartitions("group", "id");
    const definition = toMemory(source);
    const run = await runPipeline(definition);
    expect(run.batches[0]?.partitions).toBe(2);
    const even = Array.from({ length: 10 }, (_, i) => ({ group: 0, id: 2 * i }));
    const odd = Array.from({ length: 10 }, (_, i) => ({ group: 1, id: 2 * i + 1 }));
    expect([
      [...even, ...odd],
      [...odd, ...even],
    ]).toContainEqual(memoryTable(String(definition.sink.options["table"])).rows());
  });

  it("Millrace applies a batch's filter after a step to the rows of that step", async () => {
    const source = items()
      .schema(SCHEMA)
      .filter(new GreaterThan("id", 0))
      .map(({ id }) => ({ id: -id }), "id bigint")
      .filter(new LessThan("id", -1));
    expect(await rowsOf(source)).toEqual([{ id: -2 }, { id: -3 }]);
  });
});

describe("steps that fail", () => {
  it("A function that throws is an error with the row, the step and the user's own error", async () => {
    const source = typed({ count: 6 })
      .filter(new GreaterThan("id", 0))
      .map(function clean(row) {
        if (row.id === 4n) throw new TypeError("secret of row 4");
        return row;
      });
    const error = await failure(source);
    expect(error).toMatchObject({
      code: "STEP_FAILED",
      message: "row 2: step 2 map(clean) failed: TypeError",
      where: { pipeline: "items", batchId: 0, partition: 1, row: 2, step: "2 map(clean)" },
      retryable: false,
      cause: { message: "secret of row 4" },
    });
    expect(JSON.stringify(error.toRecord())).not.toContain("secret");
  });

  it("An async function that fails may be tried again, and an error that says so", async () => {
    expect(await failure(typed().filter(async () => Promise.reject(new Error("x"))))).toMatchObject({
      code: "STEP_FAILED",
      retryable: true,
    });
    const again = Object.assign(new Error("x"), { retryable: true });
    const thrower = () => {
      throw again;
    };
    expect(await failure(typed().filter(thrower))).toMatchObject({ retryable: true });
    expect(await failure(typed().mapBatches(thrower))).toMatchObject({
      message: "rows 1 to 2: step 1 mapBatches(thrower) failed: Error",
    });
  });

  it("A row that does not fit is an error like that of a source, with the step", async () => {
    const wrong = typed().map(({ id }) => ({ id: id === 3n ? "x" : 1 }) as never, "id bigint");
    expect(await failure(wrong)).toMatchObject({
      code: "ROW_MISMATCH",
      message: 'row 2, field "id": expected bigint, found a string of 1 character',
      hint: expect.stringContaining(`Convert "id" in the step, or change its type in the schema.`) as string,
      where: { partition: 1, row: 2, field: "id", step: "1 map" },
      found: '"x"',
    });
    const none = typed().map(() => undefined as never, "id bigint");
    expect(await failure(none)).toMatchObject({ code: "ROW_NOT_A_ROW", where: { row: 1, step: "1 map" } });
    const rows = typed().map(({ id }) => [[id]] as never, "id bigint");
    expect(await failure(rows)).toMatchObject({
      hint: expect.stringContaining("To return several rows, write .flatMap() instead of .map().") as string,
    });
    const noRows = typed().flatMap(() => 5 as never);
    expect(await failure(noRows)).toMatchObject({
      code: "STEP_FAILED",
      message: "the function of .flatMap() returned an integer",
      where: { row: 1, step: "1 flatMap" },
    });
    const columns = typed().mapBatches((batch) => batch.select(["id", "name"] as never) as never);
    expect(await failure(columns)).toMatchObject({
      code: "BATCH_SCHEMA_MISMATCH",
      where: { step: "1 mapBatches" },
    });
  });

  it("The row of an error is that of the source, through all steps before", async () => {
    const source = typed({ count: 40 })
      .filter(({ id }) => id % 2n === 1n)
      .flatMap((row) => [row, row])
      .withColumns({ name: ({ id }) => (id === 35n ? 5 : "x") });
    expect(await failure(source)).toMatchObject({ code: "ROW_MISMATCH", where: { partition: 1, row: 16 } });
  });

  it.each([
    [
      () => typed().select("nam" as never),
      'step 1 select: the rows have no column "nam" (did you mean name?)',
    ],
    [
      () => typed().withColumns({ total: () => 1 }, "totl int"),
      'step 1 withColumns: the schema has the column "totl", for which there is no function',
    ],
    [
      () => typed().withColumns({ total: () => 1 } as never),
      'step 1 withColumns: the new column "total" has no type',
    ],
  ])(
    "A step that does not fit the rows before it is refused before anything is planned: case %#",
    async (make, message) => {
      const error = await failure(make());
      expect(error).toMatchObject({ code: "STEP_INVALID", message, where: { pipeline: "items" } });
    },
  );

  it("A filter and a schema that are wrong name their step, too", async () => {
    expect(await failure(typed().select("id").filter(new EqualTo("name", "x")))).toMatchObject({
      code: "FILTER_INVALID",
      where: { step: "2 filter" },
    });
    expect(await failure(typed().map((row) => row, "id bigit"))).toMatchObject({
      code: "SCHEMA_INVALID",
      where: { step: "1 map" },
    });
  });
});
