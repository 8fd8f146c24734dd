import { describe, expect, it } from "vitest";
import { Memory, memoryTable } from "../../../shared/connectors/memory/index.ts";
import type { Pipeline } from "../../../shared/contract/pipeline.ts";
import { runPipeline } from "../../../shared/testing/run-pipeline.ts";
import { itemStream, SCHEMA } from "./source.ts";

/** An error that is in the source's rows until it is mended. */
let isMended = false;

function stepped(count = 12) {
  return itemStream({ count })
    .schema(SCHEMA)
    .filter(({ id }) => id !== 6n)
    .map((row) => {
      if (!isMended && (row.id === 1n || row.id === 8n)) throw new RangeError("one of them");
      return !isMended && row.id === 9n ? { ...row, id: "x" as never } : row;
    })
    .flatMap(function* (row) {
      yield row;
      yield { ...row, name: !isMended && row.id === 3n ? (5 as never) : "again" };
    })
    .select("id", "name");
}

const into = (table: string): Pipeline =>
  stepped().writeStream.format(Memory).options({ table }).onBadRow("quarantine") as unknown as Pipeline;

const idsOf = (table: string) =>
  memoryTable(table)
    .rows()
    .map(({ id }) => Number(id))
    .sort((a, b) => a - b);

const twice = (ids: readonly number[]) => ids.flatMap((id) => [id, id]);

describe("rows for which a step fails", () => {
  it("They are kept as the source gave them, all others go on, and after a fix they pass the steps once", async () => {
    isMended = false;
    const table = "steps-bad-rows";
    const first = await runPipeline(into(table));
    expect(idsOf(table)).toEqual(twice([0, 2, 4, 5, 7, 10, 11]));
    expect(
      first.quarantine.map(({ row, reason }) => [
        (row as { id: { $bigint: string } }).id.$bigint,
        reason.code,
        reason.where.step,
      ]),
    ).toEqual([
      ["1", "STEP_FAILED", "2 map"],
      ["3", "ROW_MISMATCH", "3 flatMap"],
      ["8", "STEP_FAILED", "2 map"],
      ["9", "ROW_MISMATCH", "2 map"],
    ]);

    isMended = true;
    const second = await runPipeline(into(table), { after: first, retryQuarantine: true });
    expect(second.quarantine).toEqual([]);
    expect(idsOf(table)).toEqual(twice([0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11]));
  });

  it("A row that fails after a step of whole record batches stays in the quarantine", async () => {
    isMended = false;
    const source = itemStream({ count: 4 })
      .schema(SCHEMA)
      .mapBatches((batch) => batch)
      .map((row) => {
        if (row.id === 1n) throw new RangeError("one of them");
        return row;
      });
    const definition = source.writeStream
      .format(Memory)
      .options({ table: "steps-bad-batches" })
      .onBadRow("quarantine") as unknown as Pipeline;
    const first = await runPipeline(definition);
    expect(idsOf("steps-bad-batches")).toEqual([0, 2, 3]);
    expect(first.quarantine).toMatchObject([{ reason: { code: "STEP_FAILED" }, stepsBefore: 1 }]);
    const second = await runPipeline(definition, { after: first, retryQuarantine: true });
    expect(second.quarantine).toMatchObject([{ batchId: 1, reason: { code: "ROW_NOT_READ_AGAIN" } }]);
  });

  it("Without a choice the batch fails, and the error names the step", async () => {
    isMended = false;
    const failing = stepped().writeStream.format(Memory).options({ table: "steps-failing" });
    await expect(runPipeline(failing as unknown as Pipeline)).rejects.toMatchObject({
      code: "STEP_FAILED",
      where: { step: "2 map" },
    });
  });
});
