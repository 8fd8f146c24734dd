import { describe, expect, it } from "vitest";
import type { JsonValue } from "../../../shared/contract/json.ts";
import { conformWrite } from "./conform.ts";
import type { OpRow } from "./op.ts";
import { Spark } from "./spark.ts";
import type { Entry, Recording } from "./trace.ts";

/** A stream that is stopped while the second task of its second epoch sleeps, and started again. */

const PARTITIONS: OpRow[][] = [
  [
    [0, 0],
    [1, 1],
  ],
  [
    [2, 2],
    [3, 0],
  ],
];
const rows = { schema: "id BIGINT NOT NULL,p INT", epochs: [PARTITIONS, PARTITIONS] };
const SLEEP = { point: "DataWriter.write", partitionId: 1, n: 0, epochId: 1, sleep: 20_000, throw: false };
const options = { table: "t", fault: JSON.stringify([SLEEP]) };

const called =
  (name: string) =>
  ({ call }: Entry): boolean =>
    call === name;
const isSlow = ({ task }: Entry): boolean => task?.partitionId === 1;

/** What the second run does: the second epoch again, with new task ids, and without the fault. */
function again(calls: readonly Entry[]): Entry[] {
  const renamed = (value: JsonValue, name?: string): JsonValue => {
    if (name === "taskId") return Number(value) + 2;
    if (name === "options") return { table: "t" };
    if (Array.isArray(value)) return value.map((item) => renamed(item));
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([key, of]) => [key, renamed(of, key)]));
  };
  return calls.map((entry) => renamed(entry as unknown as JsonValue) as unknown as Entry);
}

/** The recording as Spark makes it: it aborts the epoch, and writes all of it again. */
function stopped(): Recording {
  const { trace } = new Spark().stream({ rows, options, wait: { seconds: 3 } }).recording;
  const second = trace.findLastIndex(called("Table.newWriteBuilder"));
  const epoch = trace.slice(second, -1);
  const slow = epoch.filter(isSlow);
  const task = slow[0]?.task as NonNullable<Entry["task"]>;
  const begun = slow.slice(0, slow.findIndex(called("DataWriter.write")) + 1);
  const commit = epoch.find(called("StreamingWrite.commit"));
  const [first] = (commit?.args["messages"] ?? []) as JsonValue[];
  const run = (op: object): Entry => ({ call: "== driver: run", args: { op: op as JsonValue } });
  const ok: Entry = { call: "== driver: ok", args: {} };
  const files = (count: number): Entry => ({
    call: "== driver: rows",
    args: {
      table: "t",
      files: Object.fromEntries(
        Array.from({ length: count }, (_, i) => [i, PARTITIONS[i % 2] ?? []]),
      ) as JsonValue,
    },
  });
  const op = trace[1]?.args["op"] as object;
  return {
    scenario: "stopped",
    trace: [
      ...trace.slice(0, second),
      ok,
      ...epoch.filter((entry) => !isSlow(entry) && entry !== commit),
      ...begun,
      { call: "!! sleep in DataWriter.write", args: { ms: 20_000 }, task },
      run({ kind: "stop" }),
      { call: "StreamingWrite.abort", args: { epochId: 1, messages: [first ?? null, null] } },
      ok,
      { call: "!! interrupted in DataWriter.write", args: {}, task },
      { call: "DataWriter.abort", args: {}, task },
      { call: "DataWriter.close", args: {}, task },
      files(2),
      run({ ...op, wait: "end", options: { table: "t" }, checkpoint: "same" }),
      ...again(epoch),
      ok,
      files(4),
    ],
  };
}

describe("a stream that is stopped", () => {
  it("The run after a stop keeps the tasks that finished, and aborts nothing", async () => {
    const { verdict, detail, exceptions } = await conformWrite(stopped());
    expect(verdict, detail).toBe("same");
    expect(exceptions).toContain("stop-leaves-open");
  });

  it("A call that the run after a stop lacks is still found", async () => {
    const { trace, scenario } = stopped();
    const at = trace.findLastIndex(called("DataWriter.close"));
    expect(await conformWrite({ scenario, trace: trace.toSpliced(at, 1) })).toMatchObject({
      verdict: "differs",
    });
  });
});
