import type { Trap } from "../trap.ts";
import { ABORT } from "./abort.ts";
import { ATTEMPTS } from "./attempts.ts";
import { CAPABILITIES } from "./capabilities.ts";
import { COMMIT_LOOKUP } from "./commit-lookup.ts";
import { COMMITTED } from "./committed.ts";
import { DAMAGED } from "./damaged.ts";
import { FIRST_BATCH } from "./first-batch.ts";
import { COMMIT_AGAIN, LATE_COMMIT } from "./idempotent.ts";
import { INCARNATION } from "./incarnation.ts";
import { NO_ROWS } from "./no-rows.ts";
import { OVERWRITE } from "./overwrite.ts";
import { OVERWRITE_MATCHING } from "./overwrite-matching.ts";
import { PLAN } from "./plan.ts";
import { READ_BACK } from "./read-back.ts";
import type { SinkSubject } from "./subject.ts";
import { TASK_TWICE } from "./task-twice.ts";
import { VISIBLE } from "./visible.ts";

/** The checks of a sink, in order. Each depends on the rows that the earlier ones have written. */
export const SINK_TRAPS: readonly Trap<SinkSubject>[] = [
  CAPABILITIES,
  READ_BACK,
  FIRST_BATCH,
  VISIBLE,
  DAMAGED,
  COMMITTED,
  COMMIT_AGAIN,
  COMMIT_LOOKUP,
  ABORT,
  TASK_TWICE,
  ATTEMPTS,
  LATE_COMMIT,
  NO_ROWS,
  PLAN,
  INCARNATION,
  OVERWRITE,
  OVERWRITE_MATCHING,
];
