import { matcherOf } from "../../../arrow/predicates/row-matcher.ts";
import { recordBatchOf } from "../../../arrow/record-batches.ts";
import { MillraceError } from "../../../contract/errors.ts";
import { EqualTo } from "../../../contract/filters.ts";
import type { JsonValue } from "../../../contract/json.ts";
import { predicatesOf } from "../../../contract/write/convert-filters.ts";
import type { TableWriter } from "../../table-factory.ts";
import { throughJson } from "../../through-json.ts";
import type { Trap } from "../trap.ts";
import { batches, commit, stage } from "./calls.ts";
import {
  type Attempt,
  attemptOfNewLife,
  batchOf,
  checkVisibleRows,
  isTable,
  ROWS_OF_BATCH,
  rowsFor,
  type SinkSubject,
  type TableSubject,
  taskOf,
} from "./subject.ts";

const HINT =
  "With a condition the batch replaces the rows for which it is true, and no others, in one step with its own rows.";

/**
 * Detects an overwrite by filter that keeps rows for which its condition holds, or deletes others.
 * First it empties the table and writes rows that it knows.
 */
export const OVERWRITE_MATCHING: Trap<SinkSubject, TableSubject> = {
  code: "OVERWRITE_INCOMPLETE",
  applies: (sink): sink is TableSubject => isTable(sink) && sink.factory.kind === "batch",
  async run(sink) {
    const { capabilities } = await sink.factory.access.table(sink.schema);
    if (!capabilities.has("OVERWRITE_BY_FILTER")) {
      sink.findings.skip("overwrite by filter: the table does not support it");
      return true;
    }
    const before = attemptOfNewLife(sink);
    const messages = await stage(sink, before, "write() of rows to overwrite", true);
    if (messages === undefined) return true;
    if (!(await commit(sink, before, messages, "commit() of rows to overwrite", { overwrite: true })))
      return true;
    await overwriteOne(sink, before);
    return true;
  },
};

/** Overwrites the rows that have the first column of the first row. */
async function overwriteOne(sink: TableSubject, before: Attempt): Promise<void> {
  const { schema, findings } = sink;
  const there = [0, 1].flatMap((partition) => rowsFor(sink, before, partition));
  const column = schema.fields[0]?.name ?? "";
  const condition = new EqualTo([column], there[0]?.[column]);
  const { matching } = matcherOf(schema, predicatesOf(condition)).split(recordBatchOf(schema, there));
  let writer: TableWriter;
  try {
    writer = await sink.factory.access.overwriting(schema, condition);
    await writer.plan({ ...before, planId: "asked" });
  } catch (error) {
    if (!MillraceError.is(error) || error.code !== "WRITE_NOT_SUPPORTED") throw error;
    findings.skip(`overwrite by filter: ${error.message}`);
    return;
  }
  const attempt = attemptOfNewLife(sink);
  const batch = batchOf(sink, attempt, true);
  sink.expected = there.length;
  let messages: readonly JsonValue[] = [];
  const isWritten = await findings.check("write() that overwrites by filter", async () => {
    for (const partition of [0, 1]) {
      const rows = batches(schema, rowsFor(sink, attempt, partition));
      const message = await writer.write(rows, taskOf(sink, attempt, partition));
      messages = [...messages, throughJson((message ?? null) as JsonValue)];
    }
  });
  if (!isWritten || !(await isUnchanged(sink))) return;
  sink.expected = there.length - matching.length + ROWS_OF_BATCH;
  for (const what of ["commit() that overwrites by filter", "commit() that overwrites by filter, again"]) {
    const commitAll = async () => void (await writer.commit(messages, batch));
    if (!(await findings.check(what, commitAll))) return;
    await checkVisibleRows(sink, "OVERWRITE_INCOMPLETE", `after ${what}`, HINT);
  }
}

async function isUnchanged(sink: SinkSubject): Promise<boolean> {
  const when = "before commit() of a batch that overwrites by filter";
  return await checkVisibleRows(sink, "VISIBLE_BEFORE_COMMIT", when, HINT);
}
