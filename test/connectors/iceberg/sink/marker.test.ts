import { describe, expect, it } from "vitest";
import type { TableMetadata } from "../../../../shared/connectors/iceberg/format/types.ts";
import {
  markerKey,
  markerText,
  newestBatchIn,
  newestBatchOf,
  snapshotIdOf,
  summaryOf,
} from "../../../../shared/connectors/iceberg/sink/marker.ts";
import type { BatchContext } from "../../../../shared/contract/context.ts";
import { batchFields } from "../../../support/batch-context.ts";

const contextOf = (fields: Parameters<typeof batchFields>[0] = {}): BatchContext =>
  ({ pipeline: "orders", ...batchFields(fields) }) as BatchContext;

const tableWith = (
  properties: Readonly<Record<string, string>>,
  snapshots: readonly object[] = [],
): TableMetadata => ({ properties, snapshots }) as unknown as TableMetadata;

describe("the marker of a batch", () => {
  it("A marker is read as the batch that was written, with its offsets", () => {
    const batch = contextOf({ batchId: 7 });
    const table = tableWith({ [markerKey(batch)]: markerText(batch, 12) });
    const { incarnation, batchId, planId, start, end } = batch;
    expect(newestBatchOf(table, "orders")).toEqual({ incarnation, batchId, planId, start, end });
  });

  it("The marker of a batch with large offsets is written without them", () => {
    const batch = { ...contextOf(), end: { files: "x".repeat(20_000) } };
    const text = markerText(batch, 1);
    expect(text.length).toBeLessThan(200);
    expect(newestBatchOf(tableWith({ [markerKey(batch)]: text }), "orders")).toEqual({
      incarnation: "life-1",
      batchId: 0,
      planId: "plan-0",
    });
  });

  it("The incarnation that committed last counts, however great the batch id of another one is", () => {
    const old = contextOf({ batchId: 90 });
    const latest = contextOf({ incarnation: "life-2", batchId: 3 });
    const table = tableWith({
      [markerKey(old)]: markerText(old, 91),
      [markerKey(latest)]: markerText(latest, 1_000_000_000_000),
    });
    expect(newestBatchOf(table, "orders")).toMatchObject({ incarnation: "life-2", batchId: 3 });
    expect(newestBatchIn(table, "orders", "life-1")).toMatchObject({ batchId: 90 });
    expect(newestBatchIn(table, "orders", "life-3")).toBeUndefined();
  });

  it("The marker of another pipeline does not count, also if its name begins alike", () => {
    const other = { ...contextOf(), pipeline: "orders-2" };
    const table = tableWith({ [markerKey(other)]: markerText(other, 1), "millrace.created": "2026" });
    expect(newestBatchOf(table, "orders")).toBeUndefined();
  });

  it("A marker is found in the summaries of snapshots if the catalog drops properties", () => {
    const snapshots = [3, 4].map((batchId) => ({
      "sequence-number": batchId + 1,
      summary: summaryOf(contextOf({ batchId })),
    }));
    expect(newestBatchOf(tableWith({}, snapshots), "orders")).toEqual({
      incarnation: "life-1",
      batchId: 4,
      planId: "plan-4",
    });
  });

  it.each(["", "7", "{}", '{"batchId":1,"planId":"p","sequenceNumber":"x"}'])(
    "A marker that another program has changed to %j is refused and not taken for a missing one",
    (text) => {
      const table = tableWith({ "millrace.orders.life-1": text });
      expect(() => newestBatchOf(table, "orders")).toThrow(
        expect.objectContaining({ code: "MARKER_DAMAGED" }) as Error,
      );
    },
  );
});

describe("the snapshot id of a batch", () => {
  const uuid = "62879705-e130-4fef-b48f-65b686914391";

  it("The snapshot id of a batch is equal in each attempt, has 63 bits and is never 0", () => {
    const batch = contextOf({ batchId: 5 });
    const id = snapshotIdOf(uuid, batch);
    expect(snapshotIdOf(uuid, { ...batch, attempt: 9 } as BatchContext)).toBe(id);
    expect(id).toBeGreaterThan(0n);
    expect(id).toBeLessThan(2n ** 63n);
  });

  it("The snapshot id depends on the table, the pipeline, the incarnation, the batch and its plan", () => {
    const batch = contextOf();
    const ids = [
      snapshotIdOf(uuid, batch),
      snapshotIdOf(`${uuid.slice(0, -1)}2`, batch),
      snapshotIdOf(uuid, { ...batch, pipeline: "other" }),
      snapshotIdOf(uuid, { ...batch, incarnation: "life-2" }),
      snapshotIdOf(uuid, { ...batch, batchId: 1 }),
      snapshotIdOf(uuid, { ...batch, planId: "plan-1" }),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });
});
