import type { Data, RecordBatch } from "apache-arrow";
import { concatData } from "../../arrow/concat.ts";
import { NULL_ROW, takeData } from "../../arrow/take.ts";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { CommandPlan } from "./command-plan.ts";
import { operationRows } from "./instructions.ts";
import type { JoinKey, JoinPlan } from "./join-plan.ts";
import { joinedBatch, rowsUpTo } from "./joined-rows.ts";

/** About how many pairs of rows are looked at together. */
const PAIRS_AT_ONCE = 8192;

/** A row of the table, and the rows of the source with an equal key. */
interface Candidates {
  readonly row: number;
  readonly partners: readonly number[];
}

/**
 * Joins the rows of a task: rows of one side each, those of the source first. The source's rows are
 * kept in memory, and the table's rows pass by. Yields operation rows, in the order of the table's
 * rows, and then those of the source's rows without a match. Throws `MERGE_CARDINALITY_VIOLATION`.
 */
export async function* joinedOperations(
  plan: CommandPlan & { readonly join: JoinPlan },
  batches: AsyncIterable<RecordBatch>,
  where: ErrorLocation,
): AsyncGenerator<RecordBatch> {
  const building = new SourceRows(plan);
  let join: MergeJoin | undefined;
  for await (const batch of batches) {
    const { ofTarget, ofSource } = sidesOf(batch);
    if (ofSource.length > 0) {
      // The order of the partitions makes sure of that.
      if (join !== undefined) throw new Error("a row of the merge's source came after the table's rows");
      building.add(batch, ofSource);
    }
    if (ofTarget.length === 0) continue;
    join ??= new MergeJoin(plan, building, where);
    yield* join.matched(batch, ofTarget);
  }
  join ??= new MergeJoin(plan, building, where);
  yield* join.notMatched();
}

/** Returns the rows of each side. */
function sidesOf({ data, numRows }: RecordBatch) {
  const [target, source] = data.children as Data[] as [Data, Data];
  const rows = rowsUpTo(numRows);
  return {
    ofTarget: rows.filter((row) => target.getValid(row)),
    ofSource: rows.filter((row) => source.getValid(row)),
  };
}

/** The source's rows of a task, found by their keys. */
class SourceRows {
  readonly #plan: { readonly join: JoinPlan };
  readonly #chunks: Data[] = [];
  readonly #byKey = new Map<JoinKey, number[]>();
  length = 0;

  constructor(plan: { readonly join: JoinPlan }) {
    this.#plan = plan;
  }

  add(batch: RecordBatch, rows: readonly number[]): void {
    const keyAt = this.#plan.join.bindKeys(batch.data as Data);
    this.#chunks.push(takeData(batch.data.children[1] as Data, rows));
    for (const row of rows) {
      const key = keyAt(row);
      const at = this.length++;
      if (key === undefined) continue;
      const known = this.#byKey.get(key);
      if (known === undefined) this.#byKey.set(key, [at]);
      else known.push(at);
    }
  }

  find(key: JoinKey | undefined): readonly number[] {
    return (key === undefined ? undefined : this.#byKey.get(key)) ?? [];
  }

  /** Returns all rows, or `undefined` if there are none. */
  all(): Data | undefined {
    const [first] = this.#chunks;
    return first && concatData(first.type, this.#chunks);
  }
}

class MergeJoin {
  readonly #plan: CommandPlan & { readonly join: JoinPlan };
  readonly #rows: SourceRows;
  readonly #source: Data | undefined;
  /** 1 for each row of the source that has matched. */
  readonly #hasMatched: Uint8Array;
  readonly #where: ErrorLocation;

  constructor(plan: CommandPlan & { readonly join: JoinPlan }, rows: SourceRows, where: ErrorLocation) {
    this.#plan = plan;
    this.#rows = rows;
    this.#source = rows.all();
    this.#hasMatched = new Uint8Array(rows.length);
    this.#where = where;
  }

  /** Yields what becomes of these rows of the table. */
  *matched(batch: RecordBatch, rows: readonly number[]): Generator<RecordBatch> {
    const keyAt = this.#plan.join.bindKeys(batch.data as Data);
    let candidates: Candidates[] = [];
    let pairs = 0;
    for (const row of rows) {
      const partners = this.#rows.find(keyAt(row));
      candidates.push({ row, partners });
      pairs += Math.max(1, partners.length);
      if (pairs < PAIRS_AT_ONCE) continue;
      yield* this.#operations(batch, candidates);
      candidates = [];
      pairs = 0;
    }
    yield* this.#operations(batch, candidates);
  }

  *#operations(batch: RecordBatch, candidates: readonly Candidates[]): Generator<RecordBatch> {
    const target = batch.data.children[0] as Data;
    const matches = this.#matches(target, candidates);
    const isAlone = this.#plan.notMatchedBySource.isEmpty;
    const pairs: { readonly row: number; readonly partner: number }[] = [];
    for (const { row, partners } of matches) {
      if (partners.length === 0) {
        if (!isAlone) pairs.push({ row, partner: NULL_ROW });
      } else for (const partner of partners) pairs.push({ row, partner });
    }
    const joined = this.#joined(target, pairs);
    const at = rowsUpTo(pairs.length);
    const operations = operationRows(
      joined,
      [
        { rows: at.filter((i) => pairs[i]?.partner !== NULL_ROW), instructions: this.#plan.matched },
        {
          rows: at.filter((i) => pairs[i]?.partner === NULL_ROW),
          instructions: this.#plan.notMatchedBySource,
        },
      ],
      this.#plan.layout,
    );
    if (operations !== undefined) yield operations;
  }

  /** Returns the partners that match, and marks them. */
  #matches(target: Data, candidates: readonly Candidates[]): readonly Candidates[] {
    const { residual, checksCardinality } = this.#plan.join;
    const pairs = candidates.flatMap(({ row, partners }) => partners.map((partner) => ({ row, partner })));
    const test = residual?.on(this.#joined(target, pairs));
    let at = 0;
    return candidates.map(({ row, partners }) => {
      const found = partners.filter(() => test === undefined || test(at++) === true);
      for (const partner of found) this.#hasMatched[partner] = 1;
      if (checksCardinality && found.length > 1) throw violation(this.#where);
      return { row, partners: this.#changesMatched ? found : found.slice(0, 1) };
    });
  }

  /** Without a clause, a row that matches is only written again, and only once. */
  get #changesMatched(): boolean {
    const { command } = this.#plan;
    return command.command === "MERGE" && command.matched.length > 0;
  }

  #joined(target: Data, pairs: readonly { readonly row: number; readonly partner: number }[]): RecordBatch {
    const { joined } = this.#plan.sides;
    const partners = pairs.map(({ partner }) => partner);
    return joinedBatch(joined, pairs.length, {
      target: takeData(
        target,
        pairs.map(({ row }) => row),
      ),
      source: this.#source && takeData(this.#source, partners),
    });
  }

  /** Yields what becomes of the rows of the source without a match. */
  *notMatched(): Generator<RecordBatch> {
    const { notMatched, layout, sides } = this.#plan;
    const source = this.#source;
    if (source === undefined || notMatched.isEmpty) return;
    const rest = rowsUpTo(this.#rows.length).filter((row) => this.#hasMatched[row] === 0);
    for (let from = 0; from < rest.length; from += PAIRS_AT_ONCE) {
      const rows = rest.slice(from, from + PAIRS_AT_ONCE);
      const joined = joinedBatch(sides.joined, rows.length, { source: takeData(source, rows) });
      const assigned = { rows: rowsUpTo(rows.length), instructions: notMatched };
      const operations = operationRows(joined, [assigned], layout);
      if (operations !== undefined) yield operations;
    }
  }
}

function violation(where: ErrorLocation): MillraceError {
  return new MillraceError(
    "MERGE_CARDINALITY_VIOLATION",
    "several rows of the merge's source match one row of the table, so it is not clear which one counts",
    {
      where,
      hint: "Nothing was written. Give the source one row for each row of the table, or add a condition to `on`.",
    },
  );
}
