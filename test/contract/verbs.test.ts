import { describe, expect, it } from "vitest";
import { DataSource } from "../../shared/contract/data-source.ts";
import { EqualTo, GreaterThan } from "../../shared/contract/filters.ts";
import { type BatchPipeline, pipeline } from "../../shared/contract/pipeline.ts";
import type { Predicate } from "../../shared/contract/write/predicates.ts";

class Shelf extends DataSource<{ readonly path?: string }> {}

const batch = pipeline("orders").read.format(Shelf).write.format(Shelf);
const stream = pipeline("orders").readStream.format(Shelf).writeStream.format(Shelf);
const day = new EqualTo("day", "2026-01-01");
const predicate: Predicate = {
  kind: "predicate",
  name: "=",
  children: [
    { kind: "reference", attribute: ["day"] },
    { kind: "literal", value: 1 },
  ],
};

describe("the verbs of a batch pipeline", () => {
  it("A truncate is the mode overwrite, which replaces all rows", () => {
    expect(batch.truncate().saveMode).toBe("overwrite");
    expect(batch.truncate()).toEqual(batch.mode("overwrite"));
    expect(batch.truncate().overwrites).toBeUndefined();
  });

  it.each([day, predicate])("An overwrite keeps its condition and sets the mode overwrite", (condition) => {
    expect(batch.overwrite(condition).option("path", "a")).toMatchObject({
      saveMode: "overwrite",
      overwrites: { replaces: "matching", condition },
      sink: { options: { path: "a" } },
    });
  });

  it("An overwrite of the partitions that occur in the rows sets the mode overwrite", () => {
    expect(batch.overwritePartitions().stallAfter("1m")).toMatchObject({
      saveMode: "overwrite",
      overwrites: { replaces: "partitions" },
    });
  });

  it.each([
    undefined,
    "day = 1",
    { kind: "EqualsTo" },
    { kind: "predicate", name: "=" },
    { kind: "predicate", name: 1, children: [] },
    [day],
  ])("An overwrite refuses the condition %o", (condition) => {
    expect(() => batch.overwrite(condition as never)).toThrow(
      expect.objectContaining({ code: "FILTER_INVALID" }),
    );
  });

  type Verb = (pipeline: BatchPipeline<{ path?: string }>) => BatchPipeline<{ path?: string }>;
  const verbs: Readonly<Record<string, Verb>> = {
    '.mode("append")': (pipeline) => pipeline.mode("append"),
    '.mode("overwrite")': (pipeline) => pipeline.mode("overwrite"),
    '.mode("errorifexists")': (pipeline) => pipeline.mode("errorifexists"),
    '.mode("ignore")': (pipeline) => pipeline.mode("ignore"),
    ".truncate()": (pipeline) => pipeline.truncate(),
    ".overwrite(condition)": (pipeline) => pipeline.overwrite(new GreaterThan("id", 5)),
    ".overwritePartitions()": (pipeline) => pipeline.overwritePartitions(),
  };

  it.each(Object.entries(verbs))("An overwrite of a part of the target refuses %s after it", (name, verb) => {
    for (const [first, partial] of Object.entries(verbs).slice(-2))
      expect(() => verb(partial(batch))).toThrow(
        expect.objectContaining({
          code: "SAVE_MODE_INVALID",
          message: `pipeline "orders" has ${first} and ${name}`,
        }),
      );
  });

  it.each(["append", "overwrite", "ignore"] as const)(
    "An overwrite of a part of the target refuses the mode %s before it",
    (mode) => {
      for (const [name, partial] of Object.entries(verbs).slice(-2))
        expect(() => partial(batch.mode(mode))).toThrow(
          expect.objectContaining({
            code: "SAVE_MODE_INVALID",
            message: `pipeline "orders" has .mode("${mode}") and ${name}`,
          }),
        );
    },
  );
});

describe("the verbs of a command", () => {
  it.each(["mode", "truncate", "overwrite", "overwritePartitions"] as const)(
    "A pipeline that changes rows of a table refuses .%s()",
    (verb) => {
      const command = pipeline("orders").table(Shelf, {}).deleteWhere(day);
      const call = command[verb] as (argument: unknown) => BatchPipeline;
      expect(() => call.call(command, verb === "mode" ? "append" : day)).toThrow(
        expect.objectContaining({
          code: "SAVE_MODE_INVALID",
          message: expect.stringMatching(/^pipeline "orders" has a command and \./),
        }),
      );
    },
  );
});

describe("the output mode of a stream pipeline", () => {
  it("A stream appends unless its output mode is complete", () => {
    expect(stream.outputs).toBeUndefined();
    expect(stream.outputMode("append").outputs).toBe("append");
    expect(stream.outputMode("complete").trigger({ once: true }).outputs).toBe("complete");
    expect(stream.outputMode("Complete" as never).outputs).toBe("complete");
  });

  it("The output mode update is refused, and the error says that only Spark's own sinks know it", () => {
    expect(() => stream.outputMode("update" as never)).toThrow(
      expect.objectContaining({
        code: "OUTPUT_MODE_INVALID",
        message: "the output mode update is not supported",
        hint: expect.stringContaining("only sinks of Spark itself know it"),
      }),
    );
    expect(() => stream.outputMode("upsert" as never)).toThrow(
      expect.objectContaining({ message: '"upsert" is no output mode' }),
    );
  });
});

describe("the choice of a pipeline for other columns", () => {
  it("A pipeline has no choice for other columns unless .onSchemaChange() sets one", () => {
    expect(batch.schemaChange).toBeUndefined();
    expect(batch.onSchemaChange("evolve").mode("append").schemaChange).toBe("evolve");
    expect(stream.onSchemaChange("ignore").trigger({ once: true }).schemaChange).toBe("ignore");
    expect(stream.onSchemaChange("evolve").onSchemaChange("fail").schemaChange).toBe("fail");
    expect(stream.onSchemaChange("Evolve" as never).schemaChange).toBe("evolve");
  });

  it("A choice that does not exist is refused, and the error names the three that do", () => {
    expect(() => batch.onSchemaChange("merge" as never)).toThrow(
      expect.objectContaining({
        code: "ON_SCHEMA_CHANGE_INVALID",
        message: '"merge" is no choice of .onSchemaChange()',
        hint: 'Write one of .onSchemaChange("fail"), .onSchemaChange("evolve"), .onSchemaChange("ignore").',
      }),
    );
  });
});
