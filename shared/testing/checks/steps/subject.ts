import type { RecordBatch } from "apache-arrow";
import { rowsOf } from "../../../arrow/rows.ts";
import type { RowPipeline } from "../../../engine/steps/row-pipeline.ts";
import type { Findings } from "../../report.ts";
import type { RowTexts } from "../../rows.ts";

/** The steps that are checked, and the rows with which they are tried. */
export interface StepsSubject {
  readonly steps: RowPipeline;
  /** Rows of the source. */
  readonly batch: RecordBatch;
  readonly findings: Findings;
  /** The rows that the steps made of the batch first. */
  made?: RowTexts;
}

/** A subject whose steps have made rows once. */
export interface TriedSteps extends StepsSubject {
  made: RowTexts;
}

export function areTried(subject: StepsSubject): subject is TriedSteps {
  return subject.made !== undefined;
}

/** Returns the rows that the steps make of these record batches, as text. */
export async function madeBy(steps: RowPipeline, batches: readonly RecordBatch[]): Promise<RowTexts> {
  const texts: string[] = [];
  for await (const batch of steps.apply(oneByOne(batches), { where: {} })) texts.push(...textsOf(batch));
  return texts;
}

async function* oneByOne(batches: readonly RecordBatch[]): AsyncGenerator<RecordBatch> {
  yield* batches;
}

export function textsOf(batch: RecordBatch): RowTexts {
  return Array.from(rowsOf(batch), (row) => JSON.stringify(row));
}

/** Says where two lists of rows differ first; `undefined` if they are the same. */
export function differenceOf(one: RowTexts, other: RowTexts): string | undefined {
  const index = one.findIndex((row, i) => row !== other[i]);
  if (index < 0 && one.length === other.length) return undefined;
  const at = index < 0 ? one.length : index;
  const shown = (rows: RowTexts) => rows[at] ?? "no row";
  return `row ${at + 1} was ${shown(one)}, then ${shown(other)}`;
}
