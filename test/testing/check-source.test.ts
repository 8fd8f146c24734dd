import { describe, expect, it } from "vitest";
import { ArrowTable } from "../../shared/connectors/arrow-table/index.ts";
import { DataSourceReader } from "../../shared/contract/batch-reader.ts";
import { DataSource } from "../../shared/contract/data-source.ts";
import { DataSourceStreamReader, SimpleDataSourceStreamReader } from "../../shared/contract/stream-reader.ts";
import { checkSource } from "../../shared/testing/index.ts";
import { codesOf, Good, type Offset, problemsOf, type Slice } from "./good-reader.ts";

describe("checkSource", () => {
  it("checkSource finds no problem in a good reader and lists its trials", async () => {
    const report = await checkSource(() => new Good(), { schema: "n int, name string" });
    expect(report.checked).toContain("latestOffset() twice at one instant");
    expect(report.checked).toContain("commit(b) twice");
    expect(report.notChecked).toEqual([]);
    await expect(checkSource(new Good())).resolves.toBeDefined();
    await expect(checkSource(Good as never)).resolves.toBeDefined();
  });

  it("checkSource names partitions whose ranges overlap", async () => {
    class Overlapping extends Good {
      override partitions(start: Offset, end: Offset) {
        const middle = Math.floor((start.n + end.n) / 2);
        return [
          { from: start.n, to: middle + 1 },
          { from: middle, to: end.n },
        ];
      }
    }
    const [problem] = await problemsOf(() => new Overlapping());
    expect(problem).toMatchObject({
      code: "PARTITIONS_OVERLAP",
      message: 'partitions 0 and 1 overlap: {"from":0,"to":4} and {"from":3,"to":6}',
      hint: expect.stringContaining("half-open"),
    });
  });

  it("checkSource names partitions that seem to overlap, which the planner accepts", async () => {
    const named = new Good() as DataSourceStreamReader<Offset, unknown>;
    named.partitions = ({ n }) => [
      { start: n, end: n + 4 },
      { start: n + 3, end: n + 6 },
    ];
    expect(await problemsOf(() => named)).toMatchObject([
      {
        code: "PARTITIONS_OVERLAP",
        message: 'partitions 0 and 1 overlap: {"start":0,"end":4} and {"start":3,"end":6}',
      },
    ]);
  });

  it("checkSource names partitions that read rows of each other, though their ranges only touch", async () => {
    class Inclusive extends Good {
      override *read({ from, to }: Slice) {
        for (let n = from; n <= to; n++) yield { n };
      }
    }
    expect(await codesOf(() => new Inclusive())).toEqual(["PARTITIONS_OVERLAP", "RANGES_OVERLAP"]);
  });

  it("checkSource names ranges that lose the row at their border", async () => {
    class Exclusive extends Good {
      override partitions(start: Offset, end: Offset) {
        return [{ from: start.n, to: end.n }];
      }
      override *read({ from, to }: Slice) {
        for (let n = from + 1; n < to; n++) yield { n };
      }
    }
    expect(await codesOf(() => new Exclusive())).toEqual(["RANGES_LOSE_ROWS"]);
  });

  it("checkSource names offsets and partitions that are no JSON", async () => {
    class At {
      time = 1;
      isOver() {
        return false;
      }
    }
    class DateOffset extends Good {
      override initialOffset() {
        return { n: new Date(0) } as unknown as Offset;
      }
    }
    class InstancePartition extends Good {
      override partitions() {
        return [{ from: new At() }] as unknown as Slice[];
      }
    }
    expect(await problemsOf(() => new DateOffset())).toMatchObject([
      {
        code: "OFFSET_NOT_JSON",
        message: "initialOffset() must give a JSON object, but gave $.n: an instance of Date",
      },
    ]);
    expect(await problemsOf(() => new InstancePartition())).toMatchObject([
      {
        code: "PARTITION_NOT_JSON",
        message: expect.stringContaining("partitions[0].from: an instance of At"),
      },
    ]);
  });

  it("checkSource names rows with missing fields, with a schema and without", async () => {
    class Patchy extends Good {
      override *read({ from, to }: Slice) {
        for (let n = from; n < to; n++) yield n % 2 === 0 ? { n, name: "even" } : { n };
      }
    }
    expect(await problemsOf(() => new Patchy(), { schema: "n int, name string" })).toMatchObject([
      { code: "ROW_MISMATCH", message: expect.stringContaining('row 2, field "name"') },
    ]);
    expect(await problemsOf(() => new Patchy())).toMatchObject([
      { code: "ROW_MISMATCH", message: expect.stringContaining("row 2 has no name") },
    ]);
  });

  it("checkSource names a read that differs the second time, and one that needs the planner's state", async () => {
    let reads = 0;
    class Moody extends Good {
      override *read({ from }: Slice) {
        yield { n: from, name: String(reads++) };
      }
    }
    class Forgetful extends Good {
      #planned: Slice[] | undefined;
      override partitions(start: Offset, end: Offset) {
        this.#planned = super.partitions(start, end);
        return this.#planned;
      }
      override *read(slice: Slice) {
        if (this.#planned === undefined) throw new Error("partitions() was not called");
        yield* super.read(slice);
      }
    }
    expect((await codesOf(() => new Moody()))[0]).toBe("READ_NOT_REPEATABLE");
    expect((await problemsOf(() => new Forgetful()))[0]?.message).toContain("partitions() was not called");
  });

  it("checkSource names an offset that goes back, a wrong order, and a commit that forgets too much", async () => {
    class Back extends Good {
      override latestOffset({ n }: Offset) {
        return { n: n === 0 ? 6 : 5 };
      }
    }
    class Unordered extends Good {
      override compareOffsets() {
        return 1;
      }
    }
    let forgotten = 0;
    class Forgets extends Good {
      override *read(slice: Slice) {
        yield* super.read({ ...slice, from: Math.max(slice.from, forgotten) });
      }
      override commit({ n }: Offset) {
        forgotten = n + 1;
      }
    }
    expect(await codesOf(() => new Back())).toContain("OFFSET_WENT_BACK");
    expect(await codesOf(() => new Unordered())).toContain("OFFSET_ORDER_WRONG");
    expect(await codesOf(() => new Forgets())).toContain("COMMIT_FORGETS_TOO_MUCH");
  });

  it("checkSource names an availableNow that never ends", async () => {
    class Endless extends Good {
      override latestOffset({ n }: Offset) {
        return { n: n + 6 };
      }
      prepareForTriggerAvailableNow() {}
    }
    expect(await codesOf(() => new Endless())).toEqual(["AVAILABLE_NOW_ENDLESS"]);
  });

  it("checkSource makes a source advance, or tries an offset within its only range", async () => {
    let available = 5;
    class Growing extends Good {
      override latestOffset({ n }: Offset) {
        return { n: Math.max(n, available) };
      }
    }
    expect((await checkSource(() => new Growing())).notChecked).toEqual([]);
    class Inclusive extends Growing {
      override *read({ from, to }: Slice) {
        for (let n = from; n <= to; n++) yield { n };
      }
      override partitions(start: Offset, end: Offset) {
        return [{ from: start.n, to: end.n }];
      }
    }
    expect(await problemsOf(() => new Inclusive())).toMatchObject([
      { code: "RANGES_OVERLAP", message: expect.stringContaining('b = {"n":2}, which the kit made up') },
    ]);
    const grown = await checkSource(() => new Growing(), {
      advance: () => {
        available += 5;
      },
    });
    expect(grown.notChecked).toEqual([]);
  });

  it("checkSource does not pass a source whose only range cannot be split, unless it must have no more", async () => {
    class Named extends DataSourceStreamReader<{ version: string }, string> {
      override initialOffset() {
        return { version: "" };
      }
      override latestOffset() {
        return { version: "b" };
      }
      override partitions() {
        return ["b"];
      }
      override *read() {
        yield { n: 1 };
      }
    }
    class Refuses extends Good {
      override latestOffset() {
        return { n: 10 };
      }
      override partitions(start: Offset, end: Offset) {
        if (end.n !== 10 || start.n !== 0) throw new Error("there is no such snapshot");
        return super.partitions(start, end);
      }
    }
    /** A source of lines in a file. An offset in the middle of a line yields half of the line. */
    class Bytes extends Refuses {
      override partitions(start: Offset, end: Offset) {
        return [{ from: start.n, to: end.n }];
      }
      override *read({ from, to }: Slice) {
        for (const line of "abc\ndefgh\n".slice(from, to).split("\n")) yield { line } as never;
      }
    }
    for (const make of [() => new Named(), () => new Refuses(), () => new Bytes()]) {
      expect(await problemsOf(make)).toMatchObject([
        { code: "RANGES_NOT_VERIFIED", hint: expect.stringContaining("advance") },
      ]);
      const { notChecked } = await checkSource(make, { singleRange: true });
      expect(notChecked).toEqual([expect.stringContaining("[a,b) + [b,c)")]);
    }
  });

  it("checkSource tries the time of a row within an only range of times, and a round one", async () => {
    const at = (hour: number) => `2026-11-21T${String(hour).padStart(2, "0")}:30:00Z`;
    class Timed extends DataSourceStreamReader<{ time: string }, { from: string; to: string }> {
      override initialOffset() {
        return { time: "2026-11-21T00:00:00Z" };
      }
      override latestOffset() {
        return { time: "2026-11-22T00:00:00Z" };
      }
      override partitions(start: { time: string }, end: { time: string }) {
        return [{ from: start.time, to: end.time }];
      }
      isIn(time: string, { from, to }: { from: string; to: string }) {
        return time >= from && time < to;
      }
      override *read(range: { from: string; to: string }) {
        for (let hour = 0; hour < 24; hour++)
          if (this.isIn(at(hour), range)) yield { time: at(hour), n: hour };
      }
    }
    class Inclusive extends Timed {
      override isIn(time: string, { from, to }: { from: string; to: string }) {
        return time >= from && time <= to;
      }
    }
    expect((await checkSource(() => new Timed())).notChecked).toEqual([]);
    expect(await codesOf(() => new Inclusive())).toEqual(["RANGES_OVERLAP"]);
  });

  it("checkSource has the engine's errors for wrong partitions and rows, and places of others", async () => {
    class NoArray extends Good {
      override partitions() {
        return { from: 0 } as never;
      }
    }
    class NoRows extends Good {
      override read() {
        return 7 as never;
      }
    }
    class Fails extends Good {
      override partitions(): never {
        throw new TypeError("no such thing");
      }
    }
    expect(await codesOf(() => new NoArray())).toEqual(["PARTITIONS_NOT_AN_ARRAY"]);
    expect(await codesOf(() => new NoRows())).toEqual(["READ_NOT_ITERABLE"]);
    expect(await problemsOf(() => new Fails())).toMatchObject([
      {
        code: "THREW",
        message: expect.stringMatching(/^partitions of .*: TypeError: no such thing$/),
        hint: expect.stringMatching(/partitions of .* the engine/),
      },
    ]);
  });

  it("checkSource does not pass a source that has no rows to read", async () => {
    class Empty extends Good {
      override latestOffset(start: Offset) {
        return start;
      }
    }
    expect(await codesOf(() => new Empty())).toEqual(["NOTHING_TO_CHECK"]);
  });

  it("checkSource checks simple readers and readers of batches", async () => {
    class Simple extends SimpleDataSourceStreamReader<Offset> {
      override initialOffset() {
        return { n: 0 };
      }
      override read({ n }: Offset) {
        return { rows: [{ n }, { n: n + 1 }], offset: { n: n + 2 } };
      }
      override *readBetweenOffsets(start: Offset, end: Offset) {
        for (let n = start.n; n <= end.n; n++) yield { n };
      }
    }
    class Batch extends DataSourceReader<number> {
      override partitions() {
        return [1, 1];
      }
      override *read(n: number) {
        yield [n];
      }
    }
    expect((await codesOf(() => new Simple()))[0]).toBe("READ_NOT_REPEATABLE");
    expect(await codesOf(() => new Batch())).toEqual(["PARTITIONS_OVERLAP"]);
  });

  it("checkSource takes a data source with its options, whose mistakes it names", async () => {
    class Nothing extends DataSource {
      override schema() {
        return "n int";
      }
    }
    expect(await codesOf(Nothing)).toEqual(["CHECK_INVALID"]);
    expect(await codesOf(7 as never)).toEqual(["CHECK_INVALID"]);
    expect(await problemsOf(ArrowTable, { options: { paht: "x" } })).toMatchObject([
      { code: "OPTIONS_INVALID", hint: expect.stringContaining("{ options: … } of checkSource") },
    ]);
  });
});
