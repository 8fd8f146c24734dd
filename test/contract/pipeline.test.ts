import { readdirSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { DataSource } from "../../shared/contract/data-source.ts";
import { And, GreaterThan, IsNull, Not, Or } from "../../shared/contract/filters.ts";
import { Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { findDataSource, registerDataSource } from "../../shared/contract/registry.ts";
import { checkTrigger, type Trigger } from "../../shared/contract/trigger.ts";
import { withStores } from "../support/runtime.ts";

interface Options {
  readonly path: string;
  readonly limit?: number;
}
class Shelf extends DataSource<Options> {}
class Drawer extends DataSource<Options> {
  static override readonly name: string = "a-drawer";
}

const reading = pipeline("orders").readStream.format(Shelf).options({ path: "in" });
const orders = reading.writeStream.format(Drawer);

describe("pipeline", () => {
  it.each(["a", "orders", "orders_2-x", "0", "x".repeat(64)])("A pipeline takes the name %o", (name) => {
    expect(pipeline(name).readStream.format(Shelf).writeStream.format(Drawer).name).toBe(name);
  });

  it.each(["", "-a", "_a", "a b", "a/b", "a#b", "ü", "a\n", "x".repeat(65)])(
    "A pipeline refuses the name %o",
    (name) => {
      expect(() => pipeline(name)).toThrow(
        expect.objectContaining({
          code: "PIPELINE_NAME_INVALID",
          message: `"${name}" cannot name a pipeline`,
        }),
      );
    },
  );

  it("A pipeline gathers source, sink, options and trigger", () => {
    const built = orders.option("path", "out").options({ path: "later", limit: 2 }).trigger({ once: true });
    expect(built).toMatchObject({
      name: "orders",
      source: { dataSource: Shelf, options: { path: "in" } },
      sink: { dataSource: Drawer, options: { path: "later", limit: 2 } },
      triggered: { once: true },
    });
  });

  it("A pipeline replaces options that are set again and keeps the others", () => {
    expect(orders.options({ path: "a", limit: 1 }).option("path", "b").sink.options).toEqual({
      path: "b",
      limit: 1,
    });
    const source = reading.option("limit", 3).writeStream.format(Drawer).source;
    expect(source.options).toEqual({ path: "in", limit: 3 });
  });

  it("A method of a pipeline or reader returns a new one and never changes the old one", () => {
    orders.option("path", "out");
    orders.trigger({ once: true });
    reading.option("limit", 9);
    expect(orders.sink.options).toEqual({});
    expect(orders.source.options).toEqual({ path: "in" });
    expect(orders.triggered).toBeUndefined();
    expect(reading.writeStream.format(Drawer).source.options).toEqual({ path: "in" });
  });

  it("A pipeline does not follow later changes of an object that was given as options", () => {
    const options = { path: "a" };
    const built = orders.options(options);
    options.path = "b";
    expect(built.sink.options).toEqual({ path: "a" });
  });

  it("A pipeline keeps the trigger when options are set after it", () => {
    expect(orders.trigger({ processingTime: "5s" }).option("path", "x").triggered).toEqual({
      processingTime: "5s",
    });
  });

  it("A pipeline is recognised also if another copy of the package made it", () => {
    expect(Pipeline.is(orders)).toBe(true);
    expect(Pipeline.is({ kind: "millrace.pipeline" })).toBe(true);
    expect([null, undefined, "x", {}, { kind: "other" }].some((value) => Pipeline.is(value))).toBe(false);
  });
});

describe("filter", () => {
  const read = pipeline("p").read.format(Shelf);

  it("The method `filter` takes filters, also of another copy of the package", () => {
    const other = { kind: "IsNull", attribute: ["name"] } as IsNull;
    const filters = [new GreaterThan("id", 5), new Not(new IsNull("name")), other];
    expect(read.filter(...filters).write.format(Drawer).source.filters).toEqual(filters);
  });

  it("The method `filter` splits And at the top, as Spark does, so a reader gets each part", () => {
    const [a, b, c] = [
      new GreaterThan("id", 5),
      new IsNull("name"),
      new Not(new And(new IsNull("x"), new IsNull("y"))),
    ];
    const either = new Or(a, b);
    const { filters } = read.filter(new And(a, new And(b, c)), either).write.format(Drawer).source;
    expect(filters).toEqual([a, b, c, either]);
  });

  it.each<readonly [unknown, string]>([
    ["id > 5", "a string of 6 characters"],
    [[new GreaterThan("id", 5)], "an array of 1"],
    [{ id: 5 }, "an object of another kind"],
    [GreaterThan, "a function"],
    [undefined, "undefined"],
    [new Not("id > 5" as never), "a string of 6 characters"],
    [new And(new IsNull("id"), "id > 5" as never), "a string of 6 characters"],
  ])("The method `filter` refuses %o and says how filters are written", (filter, found) => {
    expect(() => read.filter(filter as never)).toThrow(
      expect.objectContaining({
        code: "FILTER_INVALID",
        message: `a filter is new GreaterThan("id", 5), not ${found}`,
      }),
    );
  });
});

describe("trigger", () => {
  it("A trigger is of exactly one kind, as its types say", () => {
    // @ts-expect-error a trigger is of one kind
    expect(() => orders.trigger({ once: true, availableNow: true })).toThrow();
    // @ts-expect-error a trigger is of one kind
    expect(() => orders.trigger({ once: true, processingTime: "1s" })).toThrow();
  });

  it.each<Trigger>([{ once: true }, { availableNow: true }, { processingTime: "10 seconds" }])(
    "A pipeline takes the trigger %o",
    (trigger) => {
      expect(orders.trigger(trigger).triggered).toEqual(trigger);
    },
  );

  it.each<object>([{}, { once: false }, { availableNow: false }, { continuous: "1s" }])(
    "A pipeline refuses the trigger %o",
    (trigger) => {
      expect(() => checkTrigger(trigger as Trigger)).toThrow(
        expect.objectContaining({ code: "TRIGGER_INVALID" }),
      );
    },
  );

  it("A pipeline refuses two triggers at once, as Spark does", () => {
    for (const trigger of [
      { once: true, availableNow: true },
      { once: true, processingTime: "1s" },
    ]) {
      expect(() => checkTrigger(trigger as Trigger)).toThrow(
        expect.objectContaining({ code: "TRIGGER_INVALID" }),
      );
    }
  });

  it("A pipeline refuses an interval that is not a duration", () => {
    expect(() => orders.trigger({ processingTime: "often" })).toThrow(
      expect.objectContaining({ code: "DURATION_INVALID" }),
    );
  });
});

describe("stallAfter", () => {
  it("stallAfter says when a partition has stalled and if its task fails, in streams and batches", () => {
    expect(orders.stall).toBeUndefined();
    expect(orders.stallAfter("5 minutes").stall).toEqual({ after: "5 minutes", fail: false });
    const stall = { after: "90s", fail: true };
    expect(orders.stallAfter("90s", { fail: true }).option("path", "x").stall).toEqual(stall);
    const batch = pipeline("orders")
      .read.format(Shelf)
      .write.format(Drawer)
      .stallAfter("90s", { fail: true });
    expect(batch.mode("append")).toMatchObject({ stall, saveMode: "append" });
  });

  it.each(["often", "0s", "999ms"])("stallAfter refuses the time %s", (after) => {
    expect(() => orders.stallAfter(after)).toThrow(expect.objectContaining({ code: "DURATION_INVALID" }));
  });
});

describe("pauseAfterAborts", () => {
  it("pauseAfterAborts takes a number of aborts or never, and refuses what is neither", () => {
    expect(orders.pausesAfter).toBeUndefined();
    expect(orders.pauseAfterAborts(3).option("path", "x").pausesAfter).toBe(3);
    const batch = pipeline("b").read.format(Shelf).write.format(Drawer);
    expect(batch.pauseAfterAborts("never").mode("append").pausesAfter).toBe("never");
    for (const wrong of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "10" as never])
      expect(() => orders.pauseAfterAborts(wrong)).toThrow(
        expect.objectContaining({ code: "PAUSE_AFTER_ABORTS_INVALID" }),
      );
  });
});

describe("registerDataSource", () => {
  it("registerDataSource lets pipelines name a data source in any case", () => {
    registerDataSource(Shelf);
    registerDataSource(Drawer);
    const built = pipeline("p").readStream.format("sHELF").option("any", 1).writeStream.format("A-DRAWER");
    expect([built.source.dataSource, built.sink.dataSource]).toEqual([Shelf, Drawer]);
  });

  it("registerDataSource lets the last class under a name win, as in Spark", () => {
    class Other extends DataSource {
      static override readonly name: string = "SHELF";
    }
    registerDataSource(Other);
    expect(findDataSource("shelf")).toBe(Other);
  });

  it.each([
    ["rate", 'import { Rate } from "millrace/connectors/rate"; registerDataSource(Rate)'],
    ["Kinesis", 'import { Kinesis } from "millrace/connectors/kinesis"; registerDataSource(Kinesis)'],
    ["parquet", '.format(Files).option("format", "parquet")'],
    ["json", '.format(Files).option("format", "jsonl")'],
    ["mine", 'registerDataSource(YourClass) before .format("mine")'],
  ])("The error of an unregistered source %s says how to register it", (name, hint) => {
    expect(() => pipeline("p").readStream.format(name)).toThrow(
      expect.objectContaining({
        code: "DATA_SOURCE_NOT_FOUND",
        hint: expect.stringContaining(hint) as string,
      }),
    );
  });

  it("registerDataSource knows each class of the package by its name", async () => {
    const folder = new URL("../../shared/connectors/", import.meta.url);
    const folders = readdirSync(folder, { withFileTypes: true }).filter(
      // `kit` contains code that connectors share. It is not a connector.
      (entry) => entry.isDirectory() && entry.name !== "kit",
    );
    for (const { name: connector } of folders) {
      const module = (await import(new URL(`${connector}/index.ts`, folder).href)) as Record<string, unknown>;
      const classes = Object.entries(module).filter(
        ([, value]) => typeof value === "function" && value.prototype instanceof DataSource,
      );
      expect(classes.length).toBeGreaterThan(0);
      for (const [className, dataSource] of classes) {
        const hint = `import { ${className} } from "millrace/connectors/${connector}"; registerDataSource(${className})`;
        expect(() => findDataSource((dataSource as typeof DataSource).name)).toThrow(
          expect.objectContaining({ hint: expect.stringContaining(hint) as string }),
        );
      }
    }
  });

  it("The error of an unknown data source lists the registered ones", () => {
    expect(() => pipeline("p").readStream.format("cupboard")).toThrow(
      expect.objectContaining({
        code: "DATA_SOURCE_NOT_FOUND",
        message: expect.stringMatching(/^no data source is registered as "cupboard" \(there are .*a-drawer/),
      }),
    );
  });
});

describe("DataSource", () => {
  it("The error of a DataSource names the method that it lacks", () => {
    const runtime = withStores({
      now: () => 0,
      monotonic: () => 0,
      random: () => 0.5,
      newId: () => "",
      sleep: async () => undefined,
      env: {},
    });
    const drawer = new Drawer({ path: "x" }, runtime);
    const schema = { code: "NOT_SUPPORTED", message: 'data source "a-drawer" has no schema()' };
    expect(() => drawer.schema()).toThrow(expect.objectContaining(schema));
    expect([drawer.options, drawer.runtime]).toEqual([{ path: "x" }, runtime]);
  });
});
