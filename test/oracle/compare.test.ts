import { describe, expect, it } from "vitest";
import type { JsonValue } from "../../shared/contract/json.ts";
import { compare } from "./compare.ts";
import { rewritten } from "./exceptions.ts";
import { Script } from "./script.ts";
import { type Call, type Run, runsOf, type TaskCalls } from "./trace.ts";

/** Returns a script with two batches, a restart, and a third batch. */
const happy = () =>
  new Script(2)
    .start()
    .initialOffset()
    .latestOffset(0, 4)
    .initialOffset()
    .partitions(0, 4)
    .batch(0, 0)
    .latestOffset(4, 8)
    .acknowledge(4)
    .partitions(4, 8)
    .batch(1, 4)
    .idle(8)
    .ended()
    .checkpoint([4, 8])
    .start({ ropts: { max: 12 } })
    .latestOffset(8, 12)
    .acknowledge(8)
    .partitions(8, 12)
    .batch(2, 8)
    .idle(12)
    .ended()
    .checkpoint([4, 8, 12]);

/**
 * Returns a script in which all attempts of partition 1 fail and partition 2 makes no more calls.
 * Then the batch is replayed.
 */
const aborted = () =>
  new Script(3)
    .start()
    .initialOffset()
    .latestOffset(0, 6)
    .initialOffset()
    .partitions(0, 6)
    .planWriter()
    .task(0, 0, 0)
    .task(0, 1, 0, { ends: "raise in write" })
    .task(0, 2, 0, { ends: "running" })
    .end("abort", 0, 0, [0])
    .ended("write")
    .checkpoint([6], 0)
    .start()
    .initialOffset()
    .partitions(0, 6)
    .batch(0, 0)
    .idle(6)
    .ended()
    .checkpoint([6]);

/**
 * Returns a script in which the process is killed in the task of partition 1. Then the batch is
 * replayed.
 */
const killed = () =>
  new Script(2)
    .start()
    .initialOffset()
    .latestOffset(0, 4)
    .initialOffset()
    .partitions(0, 4)
    .planWriter()
    .task(0, 0, 0)
    .task(0, 1, 0, { ends: "kill -9 JVM from write" })
    .start()
    .initialOffset()
    .partitions(0, 4)
    .batch(0, 0)
    .idle(4)
    .ended()
    .checkpoint([4]);

interface Pair {
  readonly expected: Run[];
  /** The engine's calls: a copy of `expected`, in which a test changes something. */
  readonly actual: Run[];
}

function pairOf(script: Script): Pair {
  const { expected } = rewritten(runsOf(script.recording.trace));
  return { expected, actual: structuredClone(expected) };
}

const differenceOf = ({ expected, actual }: Pair) => compare(expected, actual).difference;

/** Returns the first difference after `plant` has changed the engine's calls. */
function differenceAfter(script: Script, plant: (actual: Run[]) => void): string | undefined {
  const pair = pairOf(script);
  plant(pair.actual);
  return differenceOf(pair);
}

const first = <T>(items: readonly T[], at = 0): T => {
  const item = items[at];
  if (item === undefined) throw new Error(`there is no item ${at}`);
  return item;
};
const taskOf = (run: Run, partition: number): TaskCalls =>
  first(run.tasks.filter((task) => task.partition === partition));
const indexOf = (run: Run, name: string) => run.driver.findIndex(({ call }) => call === name);
const argsOf = (call: Call) => call.args as Record<string, JsonValue>;

/** Changes to one call of a list. The comparison must find each of these changes. */
const PLANTED: readonly (readonly [string, (calls: Call[], i: number) => void])[] = [
  ["missing", (calls, i) => calls.splice(i, 1)],
  ["made twice", (calls, i) => calls.splice(i, 0, structuredClone(first(calls, i)))],
  ["another one", (calls, i) => calls.splice(i, 1, { ...first(calls, i), call: "reader.other" })],
  ["made with another argument", (calls, i) => (argsOf(first(calls, i))["planted"] = 1)],
];

describe("a comparison", () => {
  it.each([
    ["without faults", happy],
    ["aborted", aborted],
    ["killed", killed],
  ])("A comparison finds no difference between a scenario and itself that is %s", (_, script) => {
    const { calls, difference } = compare(...(Object.values(pairOf(script())) as [Run[], Run[]]));
    expect(difference).toBeUndefined();
    expect(calls).toBeGreaterThan(20);
  });

  it.each(PLANTED)("A comparison finds a difference wherever one call of the driver is %s", (_, plant) => {
    for (const script of [happy, aborted, killed]) {
      for (const [r, run] of pairOf(script()).expected.entries()) {
        for (const i of run.driver.keys()) {
          const difference = differenceAfter(script(), (actual) => plant(first(actual, r).driver, i));
          expect(difference, `run ${r}, call ${i}: ${first(run.driver, i).call}`).toContain("Millrace:");
        }
      }
    }
  });

  it("A comparison finds a difference wherever two calls of the driver are swapped", () => {
    for (const [r, run] of pairOf(happy()).expected.entries()) {
      for (let i = 0; i + 1 < run.driver.length; i++) {
        if (JSON.stringify(run.driver[i]) === JSON.stringify(run.driver[i + 1])) continue;
        const difference = differenceAfter(happy(), (actual) => {
          const { driver } = first(actual, r);
          driver.splice(i, 2, first(driver, i + 1), first(driver, i));
        });
        expect(difference, `run ${r}, call ${i}`).toContain(`call ${i + 1} of the driver`);
      }
    }
  });

  it.each(PLANTED)(
    "A comparison finds a difference if one call in a task of a committed batch is %s",
    (_, plant) => {
      for (const [r, run] of pairOf(happy()).expected.entries()) {
        for (const [t, task] of run.tasks.entries()) {
          for (const side of ["reader", "writer"] as const) {
            for (const i of task[side].keys()) {
              const difference = differenceAfter(happy(), (actual) =>
                plant(first(first(actual, r).tasks, t)[side], i),
              );
              expect(difference, `run ${r}, task ${t}, ${side} ${i}`).toContain(`of the ${side}`);
            }
          }
        }
      }
    },
  );

  it("A comparison finds a difference if messages come in another order or one is missing", () => {
    const change = (plant: (messages: JsonValue[]) => void) =>
      differenceAfter(happy(), ([run]) => {
        const commit = first((run as Run).driver, indexOf(run as Run, "writer.commit"));
        plant(argsOf(commit)["messages"] as JsonValue[]);
      });
    expect(change((messages) => messages.reverse())).toContain("writer.commit");
    expect(change((messages) => messages.pop())).toContain("writer.commit");
    expect(change((messages) => messages.fill(null))).toContain("writer.commit");
  });

  it("A comparison finds a difference if a task is missing or there is one more", () => {
    expect(differenceAfter(happy(), ([run]) => run?.tasks.pop())).toContain("no such task");
    const again = ([run]: Run[]) => run?.tasks.push({ ...first(run.tasks), attempt: 1 });
    expect(differenceAfter(happy(), again)).toContain("attempt 1");
  });

  it("A comparison finds a difference if an object is constructed with other arguments", () => {
    const made = (plant: (made: Call[]) => void) =>
      differenceAfter(happy(), ([run]) => plant(run?.made ?? []));
    for (const i of pairOf(happy()).expected[0]?.made.keys() ?? []) {
      expect(made((calls) => (argsOf(first(calls, i))["planted"] = 1))).toContain("constructions");
      expect(made((calls) => calls.splice(i, 1))).toContain("constructions");
    }
  });

  it("A comparison finds a difference if a run ends in another way or records other batches", () => {
    const endedAs = (script: Script, ended: Run["ended"]) =>
      differenceAfter(script, ([run]) => Object.assign(run as Run, { ended }));
    expect(endedAs(happy(), undefined)).toContain("its end");
    expect(endedAs(happy(), { failed: true, faults: [] })).toContain("its end");
    expect(endedAs(aborted(), { failed: true, faults: ["read"] })).toContain("its end");
    const recordedAs = (plant: (checkpoint: NonNullable<Run["checkpoint"]>) => void) =>
      differenceAfter(happy(), ([run]) => run?.checkpoint && plant(run.checkpoint));
    expect(recordedAs(({ commits }) => commits.pop())).toContain("what is recorded");
    expect(recordedAs(({ offsets }) => Object.assign(offsets, { "1": { n: 9 } }))).toContain(
      "what is recorded",
    );
    expect(differenceAfter(happy(), (runs) => runs.pop())).toContain("runs");
  });
});

describe("tasks beside one that fails for good", () => {
  const abortOf = (run: Run) => first(run.driver, indexOf(run, "writer.abort"));
  const messagesOf = (run: Run) => argsOf(abortOf(run))["messages"] as JsonValue[];
  const planted = (plant: (run: Run) => void) => differenceAfter(aborted(), ([run]) => plant(run as Run));

  it("A task may have finished before another task failed, and the abort then has its message", () => {
    const finish = (run: Run) => {
      const exit = { call: "writer.write:exit", args: { rows: 2, lo: 4, hi: 5 } };
      taskOf(run, 2).writer.push(exit);
    };
    const message = { partition: 2, attempt: 0, rows: 2, lo: 4, hi: 5 };
    expect(
      planted((run) => {
        finish(run);
        messagesOf(run)[2] = message;
      }),
    ).toBeUndefined();
    expect(planted(finish)).toBeUndefined();
    const wrong = (run: Run) => {
      finish(run);
      messagesOf(run)[2] = { ...message, rows: 3 };
    };
    expect(planted(wrong)).toContain("writer.abort");
  });

  it("A task may not have begun when another task failed, but a task with a message has finished", () => {
    expect(
      planted((run) => (run.tasks = run.tasks.filter(({ partition }) => partition !== 2))),
    ).toBeUndefined();
    expect(planted((run) => (run.tasks = run.tasks.filter(({ partition }) => partition !== 0)))).toContain(
      "no such task",
    );
    expect(planted((run) => (messagesOf(run)[0] = null))).toContain("writer.abort");
    expect(planted((run) => taskOf(run, 0).writer.pop())).toContain("of the writer");
  });

  it("A task that fails for good must fail as it did in Spark", () => {
    expect(planted((run) => taskOf(run, 1).writer.pop())).toContain("none of them as there");
    expect(
      planted((run) => (run.tasks = run.tasks.filter(({ partition }) => partition !== 1))),
    ).toBeDefined();
    expect(
      planted((run) => (messagesOf(run)[1] = { partition: 1, attempt: 0, rows: 2, lo: 2, hi: 3 })),
    ).toContain("writer.abort");
  });
});

describe("after a kill", () => {
  const replayed = (plant: (tasks: TaskCalls[], run: Run) => void) =>
    differenceAfter(killed(), (actual) => plant(first(actual, 1).tasks, first(actual, 1)));

  it("A finished task need not run again after a kill, but an unfinished one must", () => {
    expect(replayed((tasks) => tasks.splice(0, 1))).toBeUndefined();
    expect(replayed((tasks) => tasks.splice(1, 1))).toContain("no such task");
  });

  it("At most one finished task may run again after a kill in a task, and none after any other kill", () => {
    const outside = new Script(2)
      .start()
      .initialOffset()
      .latestOffset(0, 4)
      .initialOffset()
      .partitions(0, 4)
      .planWriter()
      .tasks(0, 0)
      .end("commit", 0, 0)
      .call("!! kill -9 JVM from commit", { batch: 0 })
      .start()
      .initialOffset()
      .partitions(0, 4)
      .batch(0, 0)
      .idle(4)
      .ended();
    const pair = pairOf(outside);
    expect(differenceOf(pair)).toContain("ran it again");
    first(pair.actual, 1).tasks.length = 0;
    expect(differenceOf(pair)).toBeUndefined();
  });
});

describe("an exception", () => {
  const expectedOf = (script: Script) => rewritten(runsOf(script.recording.trace)).expected;
  const names = (run: Run | undefined) =>
    run?.driver.map(({ call }) => call.replace(/^(reader|writer)\./, ""));

  it("An exception changes a recording to Millrace's behaviour and no further", () => {
    const [run, restart] = expectedOf(happy());
    const end = ["__init__", "commit", "commit:return", "commit"];
    expect(names(run)).toEqual([
      ...["initialOffset", "latestOffset", "partitions", ...end],
      ...["latestOffset", "partitions", ...end, "latestOffset", "latestOffset", "stop"],
    ]);
    expect(names(restart)).toEqual([
      "latestOffset",
      "partitions",
      ...end,
      "latestOffset",
      "latestOffset",
      "stop",
    ]);
  });

  it("An exception does not change an acknowledgement that belongs to no committed batch", () => {
    const script = happy().start().acknowledge(99);
    expect(names(expectedOf(script).at(-1))).toEqual(["commit"]);
  });

  it("An exception does not change partitions that were asked of another range", () => {
    const script = aborted().start().partitions(0, 4);
    expect(names(expectedOf(script).at(-1))).toEqual(["partitions"]);
  });

  it("An exception does not change calls before the initial offset of a reader that is told the start", () => {
    const script = new Script(2).start().latestOffset(0, 4).initialOffset().partitions(0, 4);
    const told = new Script(2).start().partitions(4, 4).latestOffset(4, 8);
    expect(names(expectedOf(script)[0])?.[0]).toBe("latestOffset");
    expect(names(expectedOf(told)[0])?.[0]).toBe("partitions");
  });

  it("An exception does not change a failed batch of a simple reader, unless its rows were a generator", () => {
    const failed = (returns: Record<string, JsonValue>) =>
      new Script(1, "Simple")
        .start()
        .call("DataSource.simpleStreamReader", { schema: "struct<id:bigint,part:int>" })
        .call("simple.initialOffset", { returns: { n: 0 } })
        .call("simple.read", { start: { n: 0 }, returns: { ...returns, end: { n: 4 } } })
        .ended("planPartitions")
        .checkpoint([4], 0);
    expect(expectedOf(failed({ rows: 4 }))[0]?.ended).toEqual({ failed: true, faults: ["planPartitions"] });
    const [accepted] = expectedOf(failed({ generator: true }));
    expect(names(accepted)).toEqual([
      "simple.initialOffset",
      "simple.read",
      "__init__",
      "commit",
      "commit:return",
      "simple.commit",
    ]);
    expect(accepted?.ended).toEqual({ failed: false, faults: [] });
  });

  it("An exception does not change an initial offset that is asked for without a batch", () => {
    const script = happy().start().initialOffset().latestOffset(12, 16);
    expect(names(expectedOf(script).at(-1))).toEqual(["initialOffset", "latestOffset"]);
  });
});

describe("a trace", () => {
  it("A trace assigns calls of a task that end after their run to that run", () => {
    const script = new Script(1).start().partitions(0, 2);
    const task = { partitionId: 0, attemptNumber: 0, batchIdProp: "0" };
    const entry = (call: string, proc: string) => ({ call, args: {}, task, proc });
    const restart = new Script(1).start().recording.trace;
    const [run, next] = runsOf([
      ...script.recording.trace,
      entry("writer.write:enter", "P1"),
      ...restart,
      entry("writer.write:enter", "P2"),
      entry("writer.write:exit", "P1"),
    ]);
    const calls = (of: Run | undefined) => of?.tasks.flatMap(({ writer }) => writer.map(({ call }) => call));
    expect(calls(run)).toEqual(["writer.write:enter", "writer.write:exit"]);
    expect(calls(next)).toEqual(["writer.write:enter"]);
  });

  it("A trace has each call of a round as often as the round is repeated", () => {
    const { trace } = new Script(1).start().idle(0).recording;
    const poll = trace.at(-1);
    const [run] = runsOf([
      ...trace,
      { call: "reader.reportLatestOffset", args: {}, repeats: poll?.repeats ?? "" },
    ]);
    const round = ["reader.latestOffset", "reader.reportLatestOffset"];
    expect(run?.driver.map(({ call }) => call)).toEqual([...round, ...round]);
  });
});
