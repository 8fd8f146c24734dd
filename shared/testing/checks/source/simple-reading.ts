import { compareByValue, type Offset, sameOffset } from "../../../contract/offset.ts";
import { checkSimpleRead, didNotAdvance } from "../../../engine/sessions/simple-planner.ts";
import type { RowTexts } from "../../rows.ts";
import { throughJson } from "../../through-json.ts";
import { offsetWentBack } from "./compare.ts";
import { readTexts, type SimpleRange, type SimpleSubject } from "./subject.ts";

/** Reads the rows from `start` on. Errors: those of planning. */
export async function readSimple(subject: SimpleSubject, start: Offset): Promise<SimpleRange> {
  const read = checkSimpleRead(await (await subject.make()).read(start), {});
  const end = throughJson(read.offset);
  const rows = await readTexts(subject, read.rows);
  if ((compareByValue(end, start) ?? 0) < 0) throw offsetWentBack("read", start, end);
  if (rows.length > 0 && sameOffset(start, end)) throw didNotAdvance(start, {});
  return { start, end, rows };
}

/** Reads the rows between two offsets with a new reader, as tasks do. */
export async function rowsBetween(subject: SimpleSubject, start: Offset, end: Offset): Promise<RowTexts> {
  return await readTexts(subject, (await subject.make()).readBetweenOffsets(start, end));
}
