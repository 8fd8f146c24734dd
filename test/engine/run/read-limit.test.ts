import { describe, expect, it } from "vitest";
import { DataSource } from "../../../shared/contract/data-source.ts";
import type { Offset } from "../../../shared/contract/offset.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import { type ReadLimit, ReadMaxRows } from "../../../shared/contract/read-limit.ts";
import { DataSourceStreamReader } from "../../../shared/contract/stream-reader.ts";
import { DataSourceStreamWriter } from "../../../shared/contract/stream-writer.ts";
import { fenceOf } from "../../../shared/engine/acquire.ts";
import { type PlanResult, plan } from "../../../shared/engine/plan.ts";
import { limitOf, policyOf } from "../../../shared/engine/run/policy.ts";
import { openSessions } from "../../../shared/engine/sessions/open-sessions.ts";
import { EngineWorld } from "../../support/engine.ts";

/**
 * Returns a pipeline whose source has the rows 0 to 24 and respects a limit of rows. `calls`
 * records the calls of planning.
 */
function limited(overrides: Partial<Record<"getDefaultReadLimit" | "reportLatestOffset", unknown>> = {}) {
  const calls: string[] = [];
  class Reader extends DataSourceStreamReader<{ n: number }, number> {
    override initialOffset() {
      calls.push("initialOffset");
      return { n: 0 };
    }
    override latestOffset(start: { n: number }, limit: ReadLimit) {
      calls.push(`latestOffset ${String(limit)}`);
      return { n: limit.kind === "ReadMaxRows" ? Math.min(24, start.n + limit.maxRows) : 24 };
    }
    override getDefaultReadLimit() {
      calls.push("getDefaultReadLimit");
      return "getDefaultReadLimit" in overrides
        ? (overrides.getDefaultReadLimit as ReadLimit)
        : new ReadMaxRows(8);
    }
    override reportLatestOffset() {
      calls.push("reportLatestOffset");
      return "reportLatestOffset" in overrides ? (overrides.reportLatestOffset as { n: number }) : { n: 24 };
    }
    override partitions() {
      return [];
    }
    override read() {
      return [];
    }
  }
  class Writer extends DataSourceStreamWriter {
    override write() {
      return undefined;
    }
    override commit() {}
    override abort() {}
  }
  class Numbers extends DataSource {
    override schema() {
      return "id bigint";
    }
    override streamReader() {
      return new Reader();
    }
    override streamWriter() {
      return new Writer();
    }
  }
  const definition = pipeline("numbers").readStream.format(Numbers).writeStream.format(Numbers);
  return { calls, definition: definition as unknown as Pipeline };
}

/** Plans a batch for each limit, in a new process. The last committed batch ended at `start`. */
async function planned(
  definition: Pipeline,
  start: Offset | undefined,
  limits: readonly (ReadLimit | undefined)[],
): Promise<PlanResult[]> {
  const ports = new EngineWorld().ports();
  if (start !== undefined) {
    const head = await ports.ledger.acquire({
      pipeline: "numbers",
      owner: { id: "before", description: "before" },
      now: 0,
      leaseMilliseconds: 1,
      newIncarnation: "i",
    });
    await ports.ledger.initialize(fenceOf(head.head), start);
  }
  const sessions = await openSessions(definition, ports);
  const results: PlanResult[] = [];
  for (const limit of limits) {
    const owner = { id: "a", description: "a" };
    results.push(
      await plan(sessions, ports, { owner, leaseMilliseconds: 1000, limit, hasEnded: async () => true }),
    );
  }
  return results;
}

describe("the read limit of a run", () => {
  it("The read limit is the reader's own on an interval, and in availableNow if the reader is bounded", () => {
    expect(limitOf(policyOf("processingTime", { isBounded: false, interval: 1000 }))).toBeUndefined();
    expect(limitOf(policyOf("availableNow", { isBounded: true }))).toBeUndefined();
  });

  it("A run of one batch has no read limit: once, and availableNow of an unbounded reader", () => {
    expect(String(limitOf(policyOf("once", { isBounded: false })))).toBe("ReadAllAvailable()");
    expect(String(limitOf(policyOf("availableNow", { isBounded: false })))).toBe("ReadAllAvailable()");
  });

  it("The reader's own read limit is asked for first, once for all batches, and passed to latestOffset", async () => {
    const { calls, definition } = limited();
    const [batch] = await planned(definition, undefined, [undefined]);
    expect(batch).toMatchObject({ kind: "batch", batch: { end: { n: 8 } }, latest: { n: 24 } });
    expect(calls).toEqual([
      "getDefaultReadLimit",
      "initialOffset",
      "latestOffset ReadMaxRows(max_rows=8)",
      "reportLatestOffset",
    ]);
    calls.length = 0;
    const idle = await planned(definition, { n: 24 }, [undefined, undefined]);
    expect(idle.map(({ kind }) => kind)).toEqual(["idle", "idle"]);
    expect(idle[0]).toMatchObject({ latest: { n: 24 } });
    const poll = ["latestOffset ReadMaxRows(max_rows=8)", "reportLatestOffset"];
    expect(calls).toEqual(["getDefaultReadLimit", ...poll, ...poll]);
  });

  it("The read limit of a run replaces the reader's own, which is asked for anyway, as in Spark", async () => {
    const { calls, definition } = limited();
    const [batch] = await planned(definition, undefined, [limitOf(policyOf("once", { isBounded: false }))]);
    expect(batch).toMatchObject({ kind: "batch", batch: { end: { n: 24 } } });
    expect(calls).toContain("getDefaultReadLimit");
    expect(calls).toContain("latestOffset ReadAllAvailable()");
  });

  it("The reader's own read limit must be a ReadLimit", async () => {
    const { definition } = limited({ getDefaultReadLimit: 8 });
    await expect(planned(definition, undefined, [undefined])).rejects.toMatchObject({
      code: "READ_LIMIT_INVALID",
      where: { pipeline: "numbers" },
    });
  });
});

describe("the latest offset that a reader reports", () => {
  it.each([[undefined], [null]])(
    "The latest offset that a reader reports may be %s and is omitted then",
    async (reported) => {
      const { definition } = limited({ reportLatestOffset: reported });
      const [batch] = await planned(definition, undefined, [undefined]);
      expect(batch).not.toHaveProperty("latest");
    },
  );

  it("The latest offset that a reader reports must be an offset", async () => {
    const { definition } = limited({ reportLatestOffset: 24 });
    await expect(planned(definition, undefined, [undefined])).rejects.toMatchObject({
      code: "OFFSET_NOT_JSON",
      message: "reportLatestOffset() must give a JSON object, but gave $: an integer",
    });
  });
});
