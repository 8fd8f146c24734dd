import { describe, expect, it } from "vitest";
import { SimpleDataSourceStreamReader } from "../../shared/contract/stream-reader.ts";
import { CheckError, checkSource } from "../../shared/testing/index.ts";

type Offset = { n: number };

const rowsFrom = (from: number, to: number) =>
  Array.from({ length: Math.max(0, to - from) }, (_, i) => ({ n: from + i }));

/**
 * A correct simple reader with the rows 0 to 19, six per read. Each test breaks one thing in it.
 */
class Good extends SimpleDataSourceStreamReader<Offset> {
  override initialOffset(): Offset {
    return { n: 0 };
  }
  override read({ n }: Offset): { rows: { n: number }[]; offset: Offset } {
    const end = Math.min(n + 6, 20);
    return { rows: rowsFrom(n, end), offset: { n: end } };
  }
  override readBetweenOffsets(start: Offset, end: Offset): { n: number }[] {
    return rowsFrom(start.n, end.n);
  }
}

async function problemsOf(...args: Parameters<typeof checkSource>) {
  const error = await checkSource(...args).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof CheckError)) throw error ?? new Error("nothing was found");
  return error.problems;
}
const codesOf = async (...args: Parameters<typeof checkSource>) =>
  (await problemsOf(...args)).map(({ code }) => code);

describe("checkSource with a simple reader", () => {
  it("checkSource finds no problem in a good simple reader, with a schema and without", async () => {
    const report = await checkSource(() => new Good());
    expect(report.notChecked).toEqual([]);
    expect(report.checked).toContain("read(b)");
    expect((await checkSource(() => new Good(), { schema: "n int NOT NULL" })).notChecked).toEqual([]);
  });

  it("checkSource names reads whose end is in them and in the next read", async () => {
    class Inclusive extends Good {
      override read({ n }: Offset) {
        return { rows: rowsFrom(n, n + 3), offset: { n: n + 2 } };
      }
      override readBetweenOffsets(start: Offset, end: Offset) {
        return rowsFrom(start.n, end.n + 1);
      }
    }
    expect(await codesOf(() => new Inclusive())).toEqual(["RANGES_OVERLAP"]);
    class Chained extends Inclusive {
      override readBetweenOffsets(start: Offset, end: Offset) {
        const rows: { n: number }[] = [];
        for (let n = start.n; n < end.n; n += 2) rows.push(...rowsFrom(n, n + 3));
        return rows;
      }
    }
    expect(await codesOf(() => new Chained())).toEqual(["RANGES_OVERLAP"]);
    await checkSource(() => new Chained(), { hasDuplicates: true });
  });

  it("checkSource names a simple reader that skips the first row of each read", async () => {
    class Skips extends Good {
      override read({ n }: Offset) {
        return { rows: rowsFrom(n + 1, n + 6), offset: { n: n + 6 } };
      }
      override readBetweenOffsets(start: Offset, end: Offset) {
        return rowsFrom(start.n + 1, end.n);
      }
    }
    expect(await codesOf(() => new Skips())).toEqual(["RANGES_LOSE_ROWS"]);
  });

  it("checkSource accepts offsets that are the last row that was read", async () => {
    class AfterLast extends Good {
      override read({ n }: Offset) {
        const last = Math.min(n + 6, 20);
        return { rows: rowsFrom(n + 1, last + 1), offset: { n: last } };
      }
      override readBetweenOffsets(start: Offset, end: Offset) {
        return rowsFrom(start.n + 1, end.n + 1);
      }
    }
    expect((await checkSource(() => new AfterLast())).notChecked).toEqual([]);
  });

  it.each([
    ["milliseconds", () => Date.now()],
    ["an ISO string", () => new Date().toISOString()],
    ["the process's own clock", () => performance.now()],
  ])("checkSource names an offset that is the clock in %s, with rows and without", async (_, clock) => {
    class Clocked extends SimpleDataSourceStreamReader {
      readonly #rows: { n: number }[];
      constructor(rows: { n: number }[]) {
        super();
        this.#rows = rows;
      }
      override initialOffset() {
        return { t: typeof clock() === "string" ? "2026-01-01T00:00:00.000Z" : 0 };
      }
      override read() {
        return { rows: this.#rows, offset: { t: clock() } };
      }
      override readBetweenOffsets() {
        return this.#rows;
      }
    }
    const options = { hasDuplicates: true };
    expect((await codesOf(() => new Clocked([{ n: 1 }]), options))[0]).toBe("OFFSET_NOT_STABLE");
    expect((await codesOf(() => new Clocked([]), options))[0]).toBe("OFFSET_NOT_STABLE");
  });

  it("checkSource names an offset that goes back, does not change although there are rows, or is no JSON", async () => {
    class Back extends Good {
      override read({ n }: Offset) {
        return n === 0 ? super.read({ n }) : { rows: [], offset: { n: n - 1 } };
      }
    }
    class Still extends Good {
      override read(start: Offset) {
        return { rows: rowsFrom(start.n, start.n + 1), offset: start };
      }
    }
    class OfDate extends Good {
      override read() {
        return { rows: rowsFrom(0, 1), offset: { n: new Date(0) } as unknown as Offset };
      }
    }
    expect(await codesOf(() => new Back())).toEqual(["OFFSET_WENT_BACK"]);
    expect(await codesOf(() => new Still())).toEqual(["SIMPLE_STREAM_READER_OFFSET_DID_NOT_ADVANCE"]);
    expect(await codesOf(() => new OfDate())).toEqual(["OFFSET_NOT_JSON"]);
  });

  it("checkSource names rows that differ from read to read, and readers that depend on earlier reads", async () => {
    let reads = 0;
    class Moody extends Good {
      override read({ n }: Offset) {
        return { rows: [{ n: 100 + reads++ }], offset: { n: n + 1 } };
      }
    }
    class Forgetful extends Good {
      override readBetweenOffsets() {
        return [];
      }
    }
    expect((await codesOf(() => new Moody()))[0]).toBe("READ_NOT_REPEATABLE");
    expect(await codesOf(() => new Forgetful())).toEqual(["READ_NOT_REPEATABLE"]);
  });

  it("checkSource accepts a simple source that grows while it is read, and says so", async () => {
    let there = 4;
    class Growing extends Good {
      override read({ n }: Offset) {
        there++;
        return { rows: rowsFrom(n, there), offset: { n: there } };
      }
    }
    const { notChecked } = await checkSource(() => new Growing());
    expect(notChecked).toEqual([expect.stringContaining("read(start) grows while it is asked")]);
  });

  it("checkSource names a commit of a simple reader that forgets too much", async () => {
    let forgotten = 0;
    class Forgets extends Good {
      override readBetweenOffsets(start: Offset, end: Offset) {
        return rowsFrom(Math.max(start.n, forgotten), end.n);
      }
      override commit({ n }: Offset) {
        forgotten = n + 1;
      }
    }
    expect(await codesOf(() => new Forgets())).toEqual(["COMMIT_FORGETS_TOO_MUCH"]);
  });

  it("checkSource moves on a source with a single read, or tries an offset within it", async () => {
    let there = 5;
    class All extends Good {
      override read({ n }: Offset) {
        return { rows: rowsFrom(n, there), offset: { n: there } };
      }
    }
    expect((await checkSource(() => new All())).notChecked).toEqual([]);
    const { checked } = await checkSource(() => new All(), {
      advance: () => {
        there += 5;
      },
    });
    expect(checked).toContain("commit(b) twice");
  });

  it.each([
    ["a tuple", [[{ n: 1 }], { n: 1 }]],
    ["another name", { rows: [{ n: 1 }], end: { n: 1 } }],
    ["rows only", [{ n: 1 }]],
  ])("checkSource has the engine's error for a read that returns %s", async (_, given) => {
    class Wrong extends Good {
      override read() {
        return given as never;
      }
    }
    expect(await problemsOf(() => new Wrong())).toMatchObject([
      { code: "READ_NOT_ITERABLE", message: expect.stringContaining("must give { rows, offset }") },
    ]);
  });
});
