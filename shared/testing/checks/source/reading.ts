import type { TaskContext } from "../../../contract/context.ts";
import type { Offset } from "../../../contract/offset.ts";
import type { Awaitable, RowSource } from "../../../contract/stream-reader.ts";
import { checkPartitions, checkPartitionsArray } from "../../../engine/partitions-file.ts";
import { guessOverlap } from "../../guesses/overlap.ts";
import { describeRows, type RowTexts } from "../../rows.ts";
import { throughJson } from "../../through-json.ts";
import { compareReplay } from "./compare.ts";
import { type ReadRange, readTexts, type StreamSubject, type Subject } from "./subject.ts";

/** The method that stream and batch readers share. */
interface PartitionReader {
  read(partition: unknown, task: TaskContext): Awaitable<RowSource>;
}

/** Returns partitions in the form in which a task receives them. Errors: those of planning. */
export function checkedPartitions(given: unknown, isBatch: boolean): readonly unknown[] {
  const partitions = checkPartitionsArray(given, isBatch, {});
  checkPartitions(partitions, Number.POSITIVE_INFINITY);
  const overlap = guessOverlap(partitions);
  if (overlap !== undefined) throw overlap;
  return throughJson(partitions);
}

/** Reads and checks the rows of a range. Returns `undefined` if they cannot be read. */
export async function readRange(
  subject: StreamSubject,
  start: Offset,
  end: Offset,
): Promise<ReadRange | undefined> {
  const range = `[${JSON.stringify(start)}, ${JSON.stringify(end)})`;
  let planned: readonly unknown[] = [];
  const isPlanned = await subject.findings.check(`partitions of ${range}`, async () => {
    planned = checkedPartitions(await (await subject.make()).partitions(start, end), false);
  });
  if (!isPlanned) return undefined;
  const partitions = await readPartitions(subject, planned, ` of ${range}`);
  return partitions === undefined ? undefined : { start, end, partitions };
}

/** Reads each partition twice, with a new reader each time, as tasks and their retries do. */
export async function readPartitions(
  subject: Subject<PartitionReader>,
  partitions: readonly unknown[],
  range: string,
): Promise<RowTexts[] | undefined> {
  const read: RowTexts[] = [];
  const isRead = await subject.findings.check(`read() of each partition${range}, twice`, async () => {
    for (const [partitionId, partition] of partitions.entries()) {
      const rows = await readPartition(subject, partition, partitionId);
      const again = await readPartition(subject, partition, partitionId);
      const what = `read() of partition ${partitionId}${range}`;
      compareReplay(subject, what, rows, again, JSON.stringify(partition));
      read.push(rows);
    }
    compareNeighbours(subject, read, range);
  });
  return isRead ? read : undefined;
}

/** Reads the rows of a range without reporting problems; it throws all errors. */
export async function readRowsOrThrow(subject: StreamSubject, start: Offset, end: Offset): Promise<RowTexts> {
  const partitions = checkedPartitions(await (await subject.make()).partitions(start, end), false);
  const rows: string[] = [];
  for (const [partitionId, partition] of partitions.entries())
    rows.push(...(await readPartition(subject, partition, partitionId)));
  return rows;
}

async function readPartition(
  subject: Subject<PartitionReader>,
  partition: unknown,
  partitionId: number,
): Promise<RowTexts> {
  const reader = await subject.make();
  const task = subject.surroundings.taskContext({ partitionId });
  return await readTexts(subject, reader.read(structuredClone(partition), task));
}

function compareNeighbours(
  { options, findings }: Subject<unknown>,
  partitions: readonly RowTexts[],
  range: string,
): void {
  if (options.hasDuplicates === true) return;
  const owner = new Map<string, number>();
  for (const [index, rows] of partitions.entries()) {
    for (const row of rows) {
      const other = owner.get(row);
      owner.set(row, other ?? index);
      if (other === undefined || other === index) continue;
      findings.add({
        code: "PARTITIONS_OVERLAP",
        message: `partitions ${other} and ${index}${range} both gave ${describeRows([row])}`,
        hint: "Such a row is written twice. Make ranges half-open: the first row of one is the end of the one before it (TimeRange.split does). If equal rows are legitimate, set hasDuplicates.",
      });
      return;
    }
  }
}
