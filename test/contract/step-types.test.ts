import { Field, type RecordBatch, Schema, Utf8 } from "apache-arrow";
import { describe, expect, expectTypeOf, it } from "vitest";
import { DataSource } from "../../shared/contract/data-source.ts";
import { GreaterThan } from "../../shared/contract/filters.ts";
import { pipeline, type Read, type ReadStream } from "../../shared/contract/pipeline.ts";
import type { RowOf } from "../../shared/contract/row-types.ts";
import type { NamedRow } from "../../shared/contract/stream-reader.ts";

interface Options {
  readonly path: string;
}
class Shelf extends DataSource<Options> {}

const stream = pipeline("p").readStream.format(Shelf);
const batch = pipeline("p").read.format(Shelf);

/** The row that the next step of a source gets. */
type RowsOf<S> = S extends ReadStream<Options, infer R> ? R : S extends Read<Options, infer R> ? R : never;

describe("the types of steps", () => {
  it("A literal DDL types the rows: nullable unless NOT NULL, with the values that a step sees", () => {
    expectTypeOf<RowOf<"id bigint NOT NULL, name string">>().toEqualTypeOf<{
      readonly id: bigint;
      readonly name: string | null;
    }>();
    expectTypeOf<
      RowOf<`
        a boolean, b tinyint, c SMALLINT, d int, e long,
        f float, g double, h decimal(10, 2) not null, i varchar(20),
        j binary, k date, l timestamp, m timestamp_ntz, n time, o interval day to second,
        p array<string>, q map<string,int>, r struct<x:int,y:array<string>>, s: int NOT NULL
      `>
    >().toEqualTypeOf<{
      readonly a: boolean | null;
      readonly b: number | null;
      readonly c: number | null;
      readonly d: number | null;
      readonly e: bigint | null;
      readonly f: number | null;
      readonly g: number | null;
      readonly h: string;
      readonly i: string | null;
      readonly j: Uint8Array | null;
      readonly k: string | null;
      readonly l: string | null;
      readonly m: string | null;
      readonly n: string | null;
      readonly o: string | null;
      readonly p: readonly (string | null)[] | null;
      readonly q: unknown;
      readonly r: unknown;
      readonly s: number;
    }>();
  });

  it("A schema that is no literal, or has quotes, makes rows of unknown values", () => {
    expectTypeOf<RowOf<string>>().toEqualTypeOf<NamedRow>();
    expectTypeOf<RowOf<"id int COMMENT 'a, b'">>().toEqualTypeOf<NamedRow>();
    expectTypeOf<RowOf<Schema>>().toEqualTypeOf<NamedRow>();
    expectTypeOf<RowsOf<typeof stream>>().toEqualTypeOf<NamedRow>();
    const given = new Schema([new Field("a", new Utf8(), true)]);
    expectTypeOf<RowsOf<ReturnType<typeof stream.schema<Schema>>>>().toEqualTypeOf<NamedRow>();
    expect(stream.schema(given).configured.schema).toBe(given);
  });

  it("Each step types the rows of the next one, and the kind of the source and its options stay", () => {
    const known = stream.schema("id bigint NOT NULL, name string");
    const mapped = known.map((row) => {
      expectTypeOf(row).toEqualTypeOf<{ readonly id: bigint; readonly name: string | null }>();
      return { key: row.id + 1n, label: row.name ?? "" };
    }, "key bigint NOT NULL, label string NOT NULL");
    expectTypeOf<RowsOf<typeof mapped>>().toEqualTypeOf<{ readonly key: bigint; readonly label: string }>();
    const added = mapped
      .withColumns(
        { total: ({ key }) => `${key}.00`, label: () => null },
        "total decimal(12,2), label string",
      )
      .filter(({ total }) => total !== null)
      .options({ path: "a" });
    expectTypeOf<RowsOf<typeof added>>().toEqualTypeOf<{
      readonly key: bigint;
      readonly label: string | null;
      readonly total: string | null;
    }>();
    const selected = added.select("total", "key").filter(new GreaterThan("key", 1));
    expectTypeOf<RowsOf<typeof selected>>().toEqualTypeOf<{
      readonly key: bigint;
      readonly total: string | null;
    }>();
    const batches = selected.mapBatches((one) => one).flatMap((row) => [row, row]);
    expectTypeOf<RowsOf<typeof batches>>().toEqualTypeOf<RowsOf<typeof selected>>();
    expectTypeOf(batches.writeStream).not.toBeAny();
    const ofBatch = batch
      .schema("a int")
      .map(({ a }) => [a])
      .repartition(2, "a");
    expectTypeOf(ofBatch).toEqualTypeOf<Read<Options, { readonly a: number | null }>>();
    expect(ofBatch.configured.steps).toHaveLength(1);
  });

  it("A step is checked for the columns of its rows, in and out", () => {
    const known = batch.schema("id bigint NOT NULL, name string, price decimal(9,2)");
    // @ts-expect-error there is no such column
    known.filter((row) => row.nam === "x");
    // @ts-expect-error there is no such column
    known.select("id", "nam");
    // @ts-expect-error the function leaves the column "b" out
    known.map(() => ({ a: 1 }), "a int, b int");
    // @ts-expect-error a NOT NULL column cannot be null
    known.map(({ name }) => ({ name }), "name string NOT NULL");
    // @ts-expect-error a number is no string
    known.map(() => ({ name: 1 }), "name string");
    // @ts-expect-error without a schema the columns stay
    known.map(({ id }) => ({ id }));
    // @ts-expect-error a new column needs a type
    known.withColumns({ total: () => 1 });
    // @ts-expect-error the function of a batch returns batches
    known.mapBatches(() => 1);
    const fits = known
      .map(
        async (row) => ({ id: 1, when: new Date(), price: row.price }),
        "id bigint, when timestamp, price decimal(9,2)",
      )
      .flatMap(function* ({ id }) {
        yield { a: id };
        yield [id];
      }, "a bigint")
      .mapBatches(async function* (one: RecordBatch) {
        yield one;
      }, "a bigint");
    expectTypeOf<RowsOf<typeof fits>>().toEqualTypeOf<{ readonly a: bigint | null }>();
  });
});
