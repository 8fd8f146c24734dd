import { describe, expect, it } from "vitest";
import { BatchScript } from "./batch-script.ts";
import { stepOf } from "./batch-step.ts";
import { compare } from "./compare.ts";
import { conformRecording } from "./conformance.ts";
import { rewritten } from "./exceptions.ts";
import { parseFilter } from "./python-repr.ts";
import { type Run, runsOf } from "./trace.ts";

const resultOf = async (script: BatchScript) => {
  const { verdict, exceptions, detail } = await conformRecording(script.recording);
  return { verdict, exceptions, detail };
};
const same = (...exceptions: string[]) => ({
  verdict: "same",
  exceptions: expect.arrayContaining(exceptions),
  detail: undefined,
});

describe("the engine in batches that Spark's recordings do not have", () => {
  it("The engine reads other partitions than Spark's recordings, with and without the driver's schema", async () => {
    const script = new BatchScript()
      .read("read collect", { CaseTest: "No", other: "1" })
      .partitions()
      .part(0, 0, 3)
      .part(1, 3, 4)
      .part(2, 4, 9)
      .returned(9)
      .read("another", {}, { asksSchema: false })
      .partitions()
      .part(0, 7, 8)
      .returned(1);
    expect(await resultOf(script)).toEqual(same("option-names-as-written"));
  });

  it("The engine applies other filters that the source leaves, and trusts it with the rest", async () => {
    const equal = "EqualTo(attribute=('name',), value='n12')";
    const filters = [
      "LessThan(attribute=('id',), value=12)",
      "Not(child=In(attribute=('id',), value=[1, 11]))",
    ];
    const script = new BatchScript()
      .read("more", { push: "1" })
      .push("IsNotNull(attribute=('id',))", "IsNotNull(attribute=('v',))", ...filters)
      .partitions()
      .part(0, 0, 10)
      .part(1, 10, 20)
      .returned(10)
      .read("one that is claimed", { push: "1" })
      .push("IsNotNull(attribute=('name',))", equal, "GreaterThanOrEqual(attribute=('v',), value=18.5)")
      .partitions(equal)
      .part(0, 0, 10, equal)
      .part(1, 10, 20, equal)
      .returned(1);
    expect(await resultOf(script)).toEqual(same("no-inferred-filters", "pushed-to-each-reader"));
  });

  it("The engine reads everything if Spark's driver took a part of it or pushed no filters", async () => {
    const disabled =
      "PySparkAssertionError: [DATA_SOURCE_PUSHDOWN_DISABLED] BPReader implements pushFilters() but …";
    const script = new BatchScript()
      .read("two of them")
      .partitions()
      .part(0, 0, 10)
      .returned(2)
      .read("conf off", { push: "1" })
      .call("== driver: exception", { type: "AnalysisException", python_error_lines: [disabled] });
    expect(await resultOf(script)).toEqual(same("no-queries", "no-pushdown-conf"));
  });

  it("The engine ends a batch with the error of the source", async () => {
    const script = new BatchScript()
      .read("partitions throws")
      .partitions()
      .call("!! raise in partitions")
      .failed("partitions");
    expect(await resultOf(script)).toEqual(same());
  });

  it("The engine writes other rows, in other modes and forms, under another name", async () => {
    const script = new BatchScript("struct<id:bigint,name:string>")
      .write("write mode overwrite", { writer: "row", CaseTest: "x" }, { overwrite: true })
      .written(3, 0, 4, 1)
      .write("format name mixed case 'fZbAtCh'")
      .written(12_000);
    expect(await resultOf(script)).toEqual(same("writer-for-each-end"));
  });

  it("The engine writes a batch without partitions as one task", async () => {
    expect(await resultOf(new BatchScript().write("empty").written(0))).toEqual(same());
  });

  it("The engine tries other tasks again and aborts if one fails for good", async () => {
    const tasks = [
      { partition: 0, attempt: 2, rows: 5 },
      { partition: 1, rows: 2 },
    ];
    const fails = { partition: 1, ends: "raise in write" };
    const script = new BatchScript()
      .write("task 0 fails twice", { writer: "arrow" })
      .task({ partition: 0, attempt: 0, ends: "raise in write" })
      .task({ partition: 0, attempt: 1, ends: "raise in write" })
      .task({ partition: 0, attempt: 2, rows: 5 })
      .task({ partition: 1, rows: 2 })
      .end("commit", tasks)
      .call("writer.commit:return")
      .returned()
      .write("task 1 always fails")
      .task({ partition: 0, rows: 5 })
      .task(fails)
      .task({ ...fails, attempt: 1 })
      .task({ ...fails, attempt: 2 })
      .end("abort", [{ partition: 0, rows: 5 }, null])
      .failed("write");
    expect(await resultOf(script)).toEqual(same("writer-for-each-end"));
  });

  it("The engine aborts after a commit that throws, and ends if the process is killed in one", async () => {
    const tasks = [{ partition: 0, rows: 4 }];
    const script = new BatchScript()
      .write("commit throws", { writer: "row" })
      .task({ partition: 0, rows: 4 })
      .end("commit", tasks)
      .call("!! raise in commit")
      .end("abort", tasks)
      .failed("commit")
      .write("killed")
      .task({ partition: 0, rows: 4 })
      .end("commit", tasks)
      .call("!! kill -9 JVM from commit");
    expect(await resultOf(script)).toEqual(same("writer-for-each-end"));
  });

  it("The engine refuses the modes that Spark refuses for a sink without an existence check", async () => {
    const head = (mode: string) => `The data source "FzBatch" cannot be written in the "${mode}" mode.`;
    const condition = "UNSUPPORTED_DATA_SOURCE_SAVE_MODE";
    const script = new BatchScript()
      .refused("mode ignore", head("Ignore"), condition)
      .refused("mode error", head("ErrorIfExists"), condition)
      .refused(
        "partitionBy",
        "requirement failed: The provided partitioning or clustering columns do not match the existing table's.",
      );
    expect(await resultOf(script)).toEqual(same("no-partition-by"));
    const appended = new BatchScript().refused("mode append", head("Append"), condition);
    expect(await resultOf(appended)).toMatchObject({ verdict: "differs" });
  });

  it("The engine is not driven through steps that a recording does not tell", async () => {
    const script = new BatchScript().refused("something else", "who knows");
    expect(await resultOf(script)).toMatchObject({
      verdict: "not built",
      detail: `the driver's "something else", of which there are no calls`,
    });
  });
});

describe("a comparison of batches", () => {
  const script = () =>
    new BatchScript()
      .read("read", { push: "1" })
      .push("GreaterThan(attribute=('id',), value=3)")
      .partitions()
      .part(0, 0, 10)
      .part(1, 10, 20)
      .returned(16)
      .write("write", { writer: "arrow" })
      .written(2, 3)
      .write("over", {}, { overwrite: true })
      .written(2, 3);
  const differenceAfter = (plant: (read: Run, write: Run, over: Run) => void) => {
    const { expected } = rewritten(runsOf(script().recording.trace));
    const actual = structuredClone(expected);
    plant(...(actual as [Run, Run, Run]));
    return compare(expected, actual).difference;
  };

  it("A comparison of batches finds no difference between a batch and itself", () => {
    expect(differenceAfter(() => undefined)).toBeUndefined();
  });

  it.each<readonly [string, (read: Run, write: Run, over: Run) => void]>([
    ["another number of rows is collected", ({ ended }) => Object.assign(ended ?? {}, { value: 15 })],
    ["an action fails", ({ ended }) => Object.assign(ended ?? {}, { failed: true })],
    [
      "an action is refused that was not",
      (_, { ended }) => Object.assign(ended ?? {}, { failed: true, refusal: "NO" }),
    ],
    ["partitions are not asked", ({ driver }) => driver.pop()],
    ["filters are not pushed", ({ driver }) => driver.shift()],
    ["filters are pushed after the partitions", ({ driver }) => driver.reverse()],
    ["a task's reader is not told the filters", ({ tasks }) => tasks[0]?.reader.shift()],
    ["a partition is not read", ({ tasks }) => tasks.pop()],
    ["a partition is not written", (_, { tasks }) => tasks.pop()],
    ["a commit has no writer of its own", (_, { driver }) => driver.shift()],
    ["a batch is committed twice", (_, { driver }) => driver.push(...structuredClone(driver))],
    ["the source is asked for no schema", ({ made }) => made.splice(1, 1)],
    [
      "options are not found in any case",
      ({ made }) => Object.assign(made[0]?.args ?? {}, { get_CaseTest: "x" }),
    ],
    ["a writer is to overwrite in an append", (_, write, over) => write.made.push(...over.made)],
    ["a finished task of another action counts", (_, __, over) => over.tasks.pop()],
  ])("A comparison of batches finds a difference if %s", (_, plant) => {
    expect(differenceAfter(plant)).toContain("Millrace:");
  });
});

describe("the steps of a recording", () => {
  const stepsOf = (script: BatchScript) => {
    const runs = runsOf(script.recording.trace);
    return runs.map((run) => stepOf(run, runs));
  };

  it("An action of a recording is read as its parameters, rows and faults", () => {
    const [failing, whole] = stepsOf(
      new BatchScript()
        .write("task 1 fails once", { writer: "row" }, { overwrite: true })
        .task({ partition: 0, rows: 3 })
        .task({ partition: 1, ends: "raise in write" })
        .task({ partition: 1, attempt: 1, rows: 4 })
        .task({ partition: 2, ends: "raise in write" })
        .end("abort", [{ partition: 0, rows: 3 }, { partition: 1, attempt: 1, rows: 4 }, null])
        .call("!! raise in abort")
        .failed("write", "abort")
        .write("whole")
        .written(1, 2, 5),
    );
    expect(failing).toMatchObject({
      ...{ kind: "write", format: "FzBatch", columns: "id:bigint", mode: "overwrite", rows: [3, 4, 5] },
      options: {
        writer: "row",
        fault: JSON.stringify([
          { point: "abort" },
          { partition: 1, point: "write", attempts_below: 1 },
          { partition: 2, point: "write" },
        ]),
      },
    });
    expect(whole).toMatchObject({ mode: "append", rows: [1, 2, 5], options: {} });
  });

  it("An action that fails before its tasks begin has the partitions of another action", () => {
    const script = new BatchScript()
      .read("throws")
      .partitions()
      .call("!! raise in partitions")
      .failed("partitions")
      .read("whole")
      .partitions()
      .part(0, 5, 6)
      .returned(1);
    expect(stepsOf(script)[0]).toMatchObject({ parts: [{ idx: 0, start: 5, end: 6 }], isUserSchema: false });
  });
});

describe("a filter as Python writes it", () => {
  it.each([
    ["IsNull(attribute=('id',))", { kind: "IsNull", attribute: ["id"] }],
    ["EqualTo(attribute=('a', 'b'), value=None)", { kind: "EqualTo", attribute: ["a", "b"], value: null }],
    ["LessThan(attribute=('v',), value=-1.5e-07)", { kind: "LessThan", attribute: ["v"], value: -1.5e-7 }],
    ["In(attribute=('id',), value=(4,))", { kind: "In", attribute: ["id"], value: [4] }],
    ["In(attribute=('b',), value=[True, False])", { kind: "In", attribute: ["b"], value: [true, false] }],
    [
      `Not(child=StringContains(attribute=('s',), value="it's \\\\ \\xe9\\n"))`,
      { kind: "Not", child: { kind: "StringContains", attribute: ["s"], value: "it's \\ é\n" } },
    ],
  ])("A filter as Python writes it is parsed: %s", (repr, filter) => {
    expect(parseFilter(repr)).toEqual(filter);
  });

  it.each(["3", "id", "EqualTo(attribute=('d',), value=datetime.date(2024, 1, 1))", "EqualTo(value=3"])(
    "A text that is no filter is refused: %s",
    (repr) => {
      expect(() => parseFilter(repr)).toThrow("this is no filter");
    },
  );
});
