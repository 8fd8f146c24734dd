import { always, type Trap } from "../trap.ts";
import { checkedPartitions, readPartitions } from "./reading.ts";
import type { BatchSubject } from "./subject.ts";

/**
 * Detects partitions of a batch that overlap, are not JSON, or return other rows when they are read
 * again.
 */
export const BATCH_PARTITIONS: Trap<BatchSubject> = {
  code: "READ_NOT_REPEATABLE",
  applies: always,
  async run(batch) {
    let partitions: readonly unknown[] = [];
    const isPlanned = await batch.findings.check("partitions()", async () => {
      partitions = checkedPartitions(await (await batch.make()).partitions(), true);
    });
    if (isPlanned) await readPartitions(batch, partitions, "");
    return isPlanned;
  },
};
