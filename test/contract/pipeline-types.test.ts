import { describe, expect, expectTypeOf, it } from "vitest";
import * as z from "zod";
import { ArrowTable } from "../../shared/connectors/arrow-table/index.ts";
import { DataSource } from "../../shared/contract/data-source.ts";
import { EqualTo, type Filter } from "../../shared/contract/filters.ts";
import { BatchPipeline, pipeline, StreamPipeline } from "../../shared/contract/pipeline.ts";
import type { Predicate } from "../../shared/contract/write/predicates.ts";

const zod = z.strictObject({ path: z.string(), pageSize: z.int().positive().default(100) });

describe("the type of a pipeline", () => {
  interface ShelfOptions {
    readonly path: string;
    readonly pageSize?: number;
  }
  class Shelf extends DataSource<ShelfOptions> {}
  class Checked extends DataSource<z.output<typeof zod>> {
    static readonly optionsSchema = zod;
  }

  it("The type of a pipeline knows the options of a class, checked or not", () => {
    const reading = pipeline("p").read.format(Shelf).options({ path: "a", pageSize: 1 }).option("path", "b");
    const checking = pipeline("p").readStream.format(Checked).options({ path: "a" }).option("pageSize", 1);
    // @ts-expect-error there is no such option
    reading.options({ path: "a", pageSise: 1 });
    // @ts-expect-error there is no such option
    checking.options({ path: "a", pageSise: 1 });
    // @ts-expect-error there is no such option
    reading.option("pageSise", 1);
    // @ts-expect-error there is no such option
    checking.option("pageSise", 1);
    // @ts-expect-error it is a number
    reading.option("pageSize", "1");
    // @ts-expect-error it is a number
    checking.options({ path: "a", pageSize: "1" });
    const writing = reading.write.format(Checked);
    // @ts-expect-error there is no such option
    writing.options({ pageSise: 1 });
    // @ts-expect-error there is no such option
    checking.writeStream.format(Shelf).options({ pageSise: 1 });
    // @ts-expect-error there is no such option
    reading.write.format(ArrowTable).options({ pth: "a" });
  });

  it("The type of a pipeline knows no options of a class that is given by name", () => {
    const anyName = (): unknown => pipeline("p").read.format("any").options({ any: 1 });
    expect(anyName).toThrow(expect.objectContaining({ code: "DATA_SOURCE_NOT_FOUND" }));
  });

  it("The type of a pipeline has save modes for batches and triggers for streams", () => {
    const batch = pipeline("p").read.format(Shelf).load("a").write.format(Shelf);
    const stream = pipeline("p").readStream.format(Shelf).load("a").writeStream.format(Shelf);
    expectTypeOf(batch).toEqualTypeOf<BatchPipeline<ShelfOptions>>();
    expectTypeOf(stream).toEqualTypeOf<StreamPipeline<ShelfOptions>>();
    expect(batch.mode("overwrite").option("path", "x").mode("append")).toBeInstanceOf(BatchPipeline);
    expect(stream.trigger({ once: true }).option("path", "x")).toBeInstanceOf(StreamPipeline);
    // @ts-expect-error a stream appends
    expect(stream.mode).toBeUndefined();
    // @ts-expect-error a batch has one run
    expect(batch.trigger).toBeUndefined();
    // @ts-expect-error a batch has no output mode
    expect(batch.outputMode).toBeUndefined();
    // @ts-expect-error a stream has an output mode instead
    expect(stream.overwrite).toBeUndefined();
    // @ts-expect-error a stream has an output mode instead
    expect(stream.overwritePartitions).toBeUndefined();
    // @ts-expect-error a stream has an output mode instead
    expect(stream.truncate).toBeUndefined();
    expectTypeOf(batch.truncate()).toEqualTypeOf<BatchPipeline<ShelfOptions>>();
    expectTypeOf(batch.overwritePartitions()).toEqualTypeOf<BatchPipeline<ShelfOptions>>();
    expectTypeOf(batch.overwrite(new EqualTo("id", 1))).toEqualTypeOf<BatchPipeline<ShelfOptions>>();
    expectTypeOf(batch.overwrite).parameter(0).toEqualTypeOf<Filter | Predicate>();
    expectTypeOf(stream.outputMode).parameter(0).toEqualTypeOf<"append" | "complete">();
    expectTypeOf(stream.onSchemaChange).parameter(0).toEqualTypeOf<"fail" | "evolve" | "ignore">();
    expectTypeOf(batch.onSchemaChange("fail")).toEqualTypeOf<BatchPipeline<ShelfOptions>>();
    // @ts-expect-error an overwrite has one condition
    expect(() => batch.overwrite()).toThrow(expect.objectContaining({ code: "FILTER_INVALID" }));
    // @ts-expect-error only Spark's own sinks know this mode
    expect(() => stream.outputMode("update")).toThrow(
      expect.objectContaining({ code: "OUTPUT_MODE_INVALID" }),
    );
    // @ts-expect-error there is no such mode
    expect(() => batch.mode("upsert")).toThrow(expect.objectContaining({ code: "SAVE_MODE_INVALID" }));
  });

  it("The type of a pipeline has no partitions, buckets or columns, which are options of a sink", () => {
    const batch = pipeline("p").read.format(Shelf).write.format(Shelf);
    // @ts-expect-error there is no such method
    expect(batch.partitionBy).toBeUndefined();
  });
});
