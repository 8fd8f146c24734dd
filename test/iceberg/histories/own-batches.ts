import type { JsonValue } from "../../../shared/contract/json.ts";
import type { OpenBatch } from "../../../shared/contract/stream-writer.ts";
import type { Row } from "../support/readers.ts";
import type { Recorded } from "../support/stream.ts";
import { type Column, ddlOf, evolvedColumns, mergedColumns } from "./model.ts";
import { type HistoryTable, idsOf, type WorkerPart } from "./table.ts";
import type { Outcome } from "./worker.ts";

/** A batch as the ledger of its pipeline knows it. */
interface Batch {
  readonly batchId: number;
  readonly attempt: number;
  readonly columns: readonly Column[];
  readonly tasks: readonly (readonly Row[])[];
  recorded?: Recorded;
  messages?: readonly JsonValue[];
  /** True if a commit was started. */
  commitTried: boolean;
  /** True if the table was seen with its rows. */
  landed: boolean;
}

/** Errors after which the engine aborts a batch and plans it again. */
const REPLANNED = new Set(["TABLE_CHANGED", "PARTITIONING_CHANGED"]);
/** About the number of calls that each step makes, from which the call of a kill is chosen. */
const MOST_CALLS = { plan: 12, stage: 12, commit: 25 };

/** The batches of one pipeline that writes to the table. */
export class OwnBatches {
  readonly pipeline: string;
  readonly #table: HistoryTable;
  readonly #committed: Batch[] = [];
  #columns: readonly Column[] = [];
  #open: Batch | undefined;

  constructor(pipeline: string, table: HistoryTable) {
    this.pipeline = pipeline;
    this.#table = table;
  }

  get hasOpen(): boolean {
    return this.#open !== undefined;
  }

  /** What a vacuum learns about the batch that is not finished. */
  get open(): OpenBatch | undefined {
    if (this.#open === undefined) return undefined;
    const { batchId, attempt, commitTried } = this.#open;
    return { batchId, attempt, aborted: false, lastTriedAttempt: commitTried ? attempt : attempt - 1 };
  }

  /** Drives the open batch, or a new one, to its end or until the process is killed. */
  async advance(isKilled: boolean): Promise<void> {
    this.#open ??= this.#newBatch();
    const killed = isKilled ? this.#table.pick(["plan", "stage", "commit"] as const) : undefined;
    await this.#drive(this.#open, killed);
    await this.#table.verify();
  }

  /** Drives the batch to its end while another program appends rows, or gives up. */
  async advanceDuring(appended: Promise<boolean>, rows: readonly Row[]): Promise<void> {
    this.#open ??= this.#newBatch();
    await this.#drive(this.#open, undefined);
    if (await appended) this.#table.add(rows);
    else this.#table.note("(pyiceberg gave up)");
    await this.#table.verify();
  }

  #newBatch(): Batch {
    const table = this.#table;
    if (table.chance(0.2)) this.#columns = evolvedColumns(this.#columns, table.chance(0.5));
    const batchId = this.#committed.length;
    const tasks = Array.from({ length: 1 + table.below(3) }, () =>
      Array.from({ length: table.below(4) }, () => ({ ...table.newRow(this.#columns), batch: batchId })),
    );
    table.note(`${this.pipeline}${batchId} has rows ${idsOf(tasks.flat())} of (${ddlOf(this.#columns)})`);
    return { batchId, attempt: 1, columns: this.#columns, tasks, commitTried: false, landed: false };
  }

  async #drive(batch: Batch, killed: keyof typeof MOST_CALLS | undefined): Promise<void> {
    const ddl = ddlOf(batch.columns);
    const name = { batchId: batch.batchId, attempt: batch.attempt };
    const ask = (request: WorkerPart & { readonly do: keyof typeof MOST_CALLS }) =>
      this.#table.ask(this.pipeline, `${this.pipeline}${batch.batchId} ${request.do}`, {
        ...request,
        ...(killed === request.do ? { kill: this.#table.newKill(MOST_CALLS[request.do]) } : {}),
      });
    if (batch.recorded === undefined) {
      const outcome = await ask({ do: "plan", ddl });
      if (outcome.kind === "killed") return;
      batch.recorded = resultOf(outcome) as Recorded;
    }
    const { recorded } = batch;
    if (batch.messages === undefined) {
      const outcome = await ask({ do: "stage", ddl, recorded, tasks: batch.tasks, batch: name });
      if (outcome.kind === "killed") return;
      batch.messages = resultOf(outcome) as JsonValue[];
    }
    batch.commitTried = true;
    await this.#judge(
      batch,
      await ask({ do: "commit", ddl, recorded, messages: batch.messages, batch: name }),
    );
  }

  async #judge(batch: Batch, outcome: Outcome): Promise<void> {
    const table = this.#table;
    if (outcome.kind === "killed") {
      if (batch.landed || !(await this.#isSeen(batch))) return;
      table.note("(it has landed)");
      this.#land(batch);
    } else if (outcome.kind === "failed" && REPLANNED.has(outcome.code) && !batch.landed) {
      table.note(`(${outcome.code}: it is planned again)`);
      const { recorded: _, messages: __, ...kept } = batch;
      this.#open = { ...kept, attempt: batch.attempt + 1, commitTried: false };
    } else {
      resultOf(outcome);
      if (!batch.landed) this.#land(batch);
      this.#committed.push(batch);
      this.#open = undefined;
    }
  }

  #land(batch: Batch): void {
    batch.landed = true;
    this.#table.add(batch.tasks.flat());
    this.#table.columns = mergedColumns(this.#table.columns, batch.columns);
  }

  /** True if a batch whose commit was killed is in the table. */
  async #isSeen(batch: Batch): Promise<boolean> {
    const table = this.#table;
    const rows = batch.tasks.flat();
    if (rows.length > 0) {
      const ids = new Set((await table.seen()).map(({ id }) => id));
      return rows.some(({ id }) => ids.has(id));
    }
    const { properties } = await table.tools.python.describe(table.tools.catalog, table.name);
    const marker = properties[`millrace.${this.pipeline}.life-1`] ?? '{"batchId":-1}';
    return (JSON.parse(marker) as { batchId: number }).batchId === batch.batchId;
  }

  /** Commits an older batch again, as a run does that was stopped for a long time. */
  async replay(): Promise<void> {
    if (this.#committed.length === 0) return;
    const { batchId, attempt, columns, recorded, messages } = this.#table.pick(this.#committed);
    if (recorded === undefined || messages === undefined) throw new Error("a landed batch has no plan");
    const outcome = await this.#table.ask(this.pipeline, `${this.pipeline}${batchId} is committed again`, {
      do: "commit",
      ddl: ddlOf(columns),
      recorded,
      messages,
      batch: { batchId, attempt },
    });
    // A batch before the newest one may be refused, but it must not be added.
    if (outcome.kind !== "failed" || outcome.code !== "LEDGER_BEHIND_SINK") resultOf(outcome);
    await this.#table.verify();
  }
}

/** Returns what a step returned. Throws if it failed. */
export function resultOf(outcome: Outcome): JsonValue {
  if (outcome.kind === "done") return outcome.value;
  throw new Error(outcome.kind === "killed" ? "it was killed" : `it failed: ${outcome.error}`);
}
