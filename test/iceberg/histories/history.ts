import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import type { Row } from "../support/readers.ts";
import { OwnBatches, resultOf } from "./own-batches.ts";
import { HistoryTable, idsOf, type Tools, type WorkerPart } from "./table.ts";

/** The columns that rows of other writers have. */
const FOREIGN = parseDdl("id bigint, batch int");
/** About the number of calls of a maintenance command. */
const MOST_CALLS = 25;

/** A random history of one table, which is compared with a model after each step. */
export class History {
  readonly #table: HistoryTable;
  readonly #pipelines: readonly OwnBatches[];

  constructor(tools: Tools, name: string, random: () => number) {
    this.#table = new HistoryTable(tools, name, random);
    this.#pipelines = ["a", "b"].map((pipeline) => new OwnBatches(pipeline, this.#table));
  }

  get steps(): readonly string[] {
    return this.#table.steps;
  }

  /** Throws if the table differs from the model after a step. */
  async run(steps: number): Promise<void> {
    await this.#pipelines[0]?.advance(false);
    for (let step = 0; step < steps; step++) await this.#step();
    for (const pipeline of this.#pipelines) while (pipeline.hasOpen) await pipeline.advance(false);
    await this.#table.verify();
    await this.#table.verifySnapshots();
  }

  async #step(): Promise<void> {
    const table = this.#table;
    const pipeline = table.pick(this.#pipelines);
    const isKilled = table.chance(0.4);
    const advance = () => pipeline.advance(isKilled);
    const spark = [() => this.#compact(), () => this.#expireBySpark()];
    const steps = [
      ...[advance, advance, advance, advance, advance],
      ...[() => pipeline.replay(), () => pipeline.replay()],
      () => this.#race(pipeline),
      () => this.#appendByPython(),
      () => this.#deleteByPython(),
      () => this.#deleteByDuckdb(),
      () => this.#maintain({ do: "expire", keep: 1 + table.below(3) }, isKilled),
      () => this.#rollBack(isKilled),
      () => this.#maintain({ do: "vacuum", ...open(pipeline) }, isKilled, pipeline.pipeline),
      ...(table.tools.spark === undefined ? [] : [...spark, ...spark]),
    ];
    await table.pick(steps)();
  }

  // Steps of other writers.

  #foreignRows(): Row[] {
    const table = this.#table;
    return Array.from({ length: 1 + table.below(3) }, () => table.newRow([]));
  }

  async #append(rows: readonly Row[]): Promise<void> {
    const { catalog, python } = this.#table.tools;
    const batch = recordBatchOf(
      FOREIGN,
      rows.map(({ id }) => [id, null]),
    );
    await python.append(catalog, this.#table.name, [batch]);
  }

  async #appendByPython(): Promise<void> {
    const rows = this.#foreignRows();
    this.#table.note(`pyiceberg appends ${idsOf(rows)}`);
    await this.#append(rows);
    this.#table.add(rows);
    await this.#table.verify();
  }

  /** A batch is written while pyiceberg appends rows. */
  async #race(pipeline: OwnBatches): Promise<void> {
    const rows = this.#foreignRows();
    this.#table.note(`pyiceberg appends ${idsOf(rows)} during the next steps`);
    const appended = this.#append(rows).then(
      () => true,
      () => false, // pyiceberg gives up after some conflicts.
    );
    await pipeline.advanceDuring(appended, rows);
  }

  async #deleteByPython(): Promise<void> {
    const first = this.#table.below(20);
    const filter = `id >= ${first} and id < ${first + 3}`;
    this.#table.note(`pyiceberg deletes ${filter}`);
    await this.#table.tools.python.delete(this.#table.tools.catalog, this.#table.name, filter);
    await this.#deleted((id) => id >= first && id < first + 3);
  }

  async #deleteByDuckdb(): Promise<void> {
    const { python, restPort } = this.#table.tools;
    const rest = this.#table.below(5);
    const statement = `DELETE FROM rest.${this.#table.name} WHERE id % 5 = ${rest}`;
    this.#table.note(`DuckDB: ${statement}`);
    await python.duckdbRest(restPort, statement);
    await this.#deleted((id) => id % 5 === rest);
  }

  async #deleted(isDeleted: (id: number) => boolean): Promise<void> {
    const table = this.#table;
    table.rows = new Map([...table.rows].filter(([id]) => !isDeleted(id)));
    await table.verify();
  }

  async #compact(): Promise<void> {
    this.#table.note("Spark compacts");
    await this.#table.tools.spark?.compact(this.#table.tools.catalog, this.#table.name);
    await this.#table.verify();
  }

  async #expireBySpark(): Promise<void> {
    this.#table.note("Spark expires all snapshots but one");
    await this.#table.tools.spark?.expire(this.#table.tools.catalog, this.#table.name);
    await this.#table.verify();
  }

  // Our own maintenance.

  async #maintain(request: WorkerPart, isKilled: boolean, pipeline: string = "a"): Promise<void> {
    const table = this.#table;
    const kill = isKilled ? { kill: table.newKill(MOST_CALLS) } : {};
    const outcome = await table.ask(pipeline, `Millrace: ${request.do}`, {
      ...request,
      ...kill,
    } as WorkerPart);
    if (outcome.kind !== "killed") resultOf(outcome);
    await table.verify();
  }

  async #rollBack(isKilled: boolean): Promise<void> {
    const table = this.#table;
    const { catalog, python } = table.tools;
    const { snapshots } = await python.describe(catalog, table.name);
    const known = snapshots.filter(({ id }) => table.bySnapshot.has(id));
    if (known.length === 0) return;
    const { id } = table.pick(known);
    const kill = isKilled ? { kill: table.newKill(MOST_CALLS) } : {};
    const request = { do: "roll back", snapshot: id, ...kill } as const;
    const outcome = await table.ask("a", `Millrace: roll back to ${id}`, request);
    if (outcome.kind !== "killed") resultOf(outcome);
    const { head } = await python.describe(catalog, table.name);
    const isDone = outcome.kind !== "killed" || head === id;
    if (isDone) table.rows = table.bySnapshot.get(id)?.rows ?? table.rows;
    await table.verify();
  }
}

function open({ open: batch }: OwnBatches): { open?: NonNullable<OwnBatches["open"]> } {
  return batch === undefined ? {} : { open: batch };
}
