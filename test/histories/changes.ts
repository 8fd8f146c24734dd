import { Memory, memoryTable } from "../../shared/connectors/memory/index.ts";
import { Postgres } from "../../shared/connectors/postgres/index.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import type { MergeStreamOptions } from "../../shared/contract/merge-stream.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import type { Chance } from "../engine/row-level/model.ts";
import { type Condition, Expressions, scopeOf } from "./conditions.ts";
import type { DuckDb } from "./duckdb.ts";
import { failOnce, Runs, Source } from "./runs.ts";
import type { Kill } from "./steps.ts";
import {
  type Column,
  canonicalRows,
  type HistoryRow,
  notNull,
  nullable,
  randomPresent,
  randomRows,
} from "./tables.ts";
import { addTo, freshName, type PostgresDatabase, postgresRows, streamOf } from "./targets.ts";

/** A feed of changes, and how it is merged. */
interface FeedShape {
  readonly columns: readonly Column[];
  readonly keys: readonly string[];
  readonly sequenceBy: readonly string[];
}

const SHAPES: readonly FeedShape[] = [
  {
    columns: [
      notNull("id", "bigint"),
      nullable("c", "string"),
      nullable("d", "double"),
      notNull("seq", "bigint"),
      nullable("op", "string"),
    ],
    keys: ["id"],
    sequenceBy: ["seq"],
  },
  {
    columns: [
      notNull("a", "int"),
      notNull("b", "string"),
      nullable("n", "int"),
      notNull("seq", "timestamp"),
      nullable("op", "string"),
    ],
    keys: ["b", "a"],
    sequenceBy: ["seq"],
  },
  {
    columns: [
      notNull("id", "string"),
      notNull("seq", "double"),
      nullable("n", "bigint"),
      nullable("w", "timestamp"),
    ],
    keys: ["id"],
    sequenceBy: ["seq"],
  },
  {
    columns: [
      notNull("id", "timestamp"),
      notNull("day", "string"),
      notNull("seq", "int"),
      nullable("c", "string"),
    ],
    keys: ["id"],
    sequenceBy: ["day", "seq"],
  },
];

/** How many values each column of a key has. */
const KEY_VALUES = 2;

interface ChangeBatch {
  readonly rows: readonly HistoryRow[];
  readonly failsOnce: boolean;
  readonly kill?: Kill;
}

/** Data of a history: it does not depend on what the tables have. */
export interface ChangesPlan {
  readonly seed: number;
  readonly shape: FeedShape;
  readonly numPartitions: number;
  readonly maxRowsPerBatch?: number;
  readonly deletes?: Condition;
  readonly exceptColumns: readonly string[];
  readonly type: 1 | 2;
  readonly onEqualSequence: "fail" | "first";
  readonly batches: readonly ChangeBatch[];
}

export function changesPlan(seed: number, chance: Chance): ChangesPlan {
  const picked = chance.pick(SHAPES);
  const hasNulls = chance.below(5) === 0;
  const needed = new Set([...picked.keys, ...picked.sequenceBy]);
  const columns = picked.columns.map((column) => (hasNulls ? { ...column, nullable: true } : column));
  const shape = { ...picked, columns };
  const free = columns.map(({ name }) => name).filter((name) => !needed.has(name));
  const onEqualSequence = chance.pick(["fail", "first", "first"] as const);
  const isSplit = onEqualSequence === "first" && chance.below(3) === 0;
  const rows = (count: number) =>
    randomRows(chance, columns, count).map((row) => ({
      ...row,
      ...Object.fromEntries(
        columns
          // A null in a key or a sequence ends the history, so that few feeds have one.
          .filter(({ name }) => needed.has(name) && chance.below(40) > 0)
          // Changes only meet if there are few keys.
          .map(({ name, type }) => [
            name,
            randomPresent(chance, type, picked.keys.includes(name) ? KEY_VALUES : undefined),
          ]),
      ),
    }));
  const batches: ChangeBatch[] = [];
  const count = 2 + chance.below(6);
  for (let i = 0; i < count; i++) {
    const again = batches.flatMap((batch) => batch.rows).filter(() => chance.below(8) === 0);
    const kill: Kill = { call: chance.below(20), when: chance.pick(["before", "after"]) };
    batches.push({
      rows: [...rows(chance.below(8)), ...again],
      failsOnce: chance.below(6) === 0,
      ...(chance.below(6) === 0 ? { kill } : {}),
    });
  }
  return {
    seed,
    shape,
    numPartitions: chance.pick([1, 2, 3]),
    ...(isSplit ? { maxRowsPerBatch: 1 + chance.below(4) } : {}),
    ...(chance.below(5) === 0
      ? {}
      : { deletes: new Expressions(chance, scopeOf(columns, "t"), true).condition(1) }),
    exceptColumns: free.filter(() => chance.below(3) === 0),
    type: shape.sequenceBy.length > 1 ? 1 : chance.pick([1, 2]),
    onEqualSequence,
    batches,
  };
}

/** Returns the columns that are stored. */
function storedOf({ shape, exceptColumns, type }: ChangesPlan): readonly Column[] {
  const stored = shape.columns.filter(({ name }) => !exceptColumns.includes(name));
  const sequence = shape.columns.find(({ name }) => name === shape.sequenceBy[0]);
  if (type === 1 || sequence === undefined) return stored;
  return [...stored, { ...sequence, name: "__START_AT" }, nullable("__END_AT", sequence.type)];
}

/** SQL over all changes that have come, which are in the table `e` with their order of arrival. */
class ReferenceFeed {
  readonly #db: DuckDb;
  readonly #plan: ChangesPlan;
  #arrived = 0;

  constructor(db: DuckDb, plan: ChangesPlan) {
    this.#db = db;
    this.#plan = plan;
  }

  async create(): Promise<void> {
    await this.#db.create("e", [...this.#plan.shape.columns, notNull("arrived", "bigint")]);
  }

  /** Adds changes, or returns the code of the error that they are. */
  async add(rows: readonly HistoryRow[]): Promise<string | undefined> {
    const columns = [...this.#plan.shape.columns, notNull("arrived", "bigint")];
    const first = this.#arrived;
    const numbered = rows.map((row, i) => ({ ...row, arrived: BigInt(first + i) }));
    await this.#db.insert("e", columns, numbered);
    this.#arrived += rows.length;
    const error = await this.#errorOf(first);
    if (error !== undefined) await this.#db.run(`DELETE FROM e WHERE arrived >= ${first}`);
    return error;
  }

  async #errorOf(first: number): Promise<string | undefined> {
    const { shape, onEqualSequence } = this.#plan;
    const has = async (sql: string) => (await this.#db.all(`${sql} LIMIT 1`)).length > 0;
    const anyNull = (names: readonly string[]) => names.map((name) => `t.${name} IS NULL`).join(" OR ");
    const fresh = `FROM e AS t WHERE arrived >= ${first}`;
    if (await has(`SELECT 1 ${fresh} AND (${anyNull(shape.keys)})`)) return "NULL";
    if (await has(`SELECT 1 ${fresh} AND (${anyNull(shape.sequenceBy)})`)) return "NULL";
    if (onEqualSequence === "first") return undefined;
    const values = storedOf({ ...this.#plan, type: 1 }).map(
      ({ name }) =>
        `CASE WHEN ${this.#isDelete} THEN NULL ELSE CAST(t.${name} AS VARCHAR) END AS "v_${name}"`,
    );
    const by = [...shape.keys, ...shape.sequenceBy].map((name) => `t.${name}`).join(", ");
    const distinct = `SELECT DISTINCT ${by}, ${this.#isDelete} AS gone, ${values.join(", ")} ${fresh}`;
    const isTwice = await has(`SELECT 1 FROM (${distinct}) AS t GROUP BY ${by} HAVING count(*) > 1`);
    return isTwice ? "SEQUENCE_NOT_UNIQUE" : undefined;
  }

  get #isDelete(): string {
    const { deletes } = this.#plan;
    return deletes === undefined ? "false" : `coalesce(${deletes.sql}, false)`;
  }

  rows(): Promise<readonly string[]> {
    const { shape, type } = this.#plan;
    const keys = shape.keys.join(", ");
    const sequence = shape.sequenceBy.join(", ");
    const latest = shape.sequenceBy.map((name) => `${name} DESC`).join(", ");
    // A window of DuckDB makes -0 to 0, so that it only gives the numbers of rows.
    const first = `SELECT *, ${this.#isDelete} AS gone FROM e AS t QUALIFY row_number() OVER (PARTITION BY ${keys}, ${sequence} ORDER BY arrived) = 1`;
    const window =
      type === 1
        ? `SELECT arrived, gone, NULL AS next FROM (${first}) QUALIFY row_number() OVER (PARTITION BY ${keys} ORDER BY ${latest}) = 1`
        : `SELECT arrived, gone, lead(arrived) OVER (PARTITION BY ${keys} ORDER BY ${sequence}) AS next FROM (${first})`;
    const interval = type === 1 ? "" : `, e.${sequence} AS "__START_AT", ended.${sequence} AS "__END_AT"`;
    const kept = `SELECT e.*${interval} FROM (${window}) AS w JOIN e ON e.arrived = w.arrived LEFT JOIN e AS ended ON ended.arrived = w.next WHERE NOT gone`;
    return this.#db.rows(storedOf(this.#plan), `(${kept})`);
  }
}

/** A table that the changes are merged into through the engine. */
class FeedTarget {
  readonly name: string;
  readonly #plan: ChangesPlan;
  readonly #stream: string;
  readonly #table = freshName("f");
  readonly #pipeline: Pipeline;
  readonly #runs: Runs;
  readonly #postgres: PostgresDatabase | undefined;

  constructor(plan: ChangesPlan, postgres?: PostgresDatabase) {
    this.name = postgres === undefined ? "memory" : "postgres";
    this.#plan = plan;
    this.#postgres = postgres;
    this.#runs = new Runs(postgres?.database.env);
    this.#stream = streamOf(plan.shape.columns, []);
    const { numPartitions, maxRowsPerBatch } = plan;
    const source = pipeline(freshName("p"))
      .readStream.format(Source)
      .options({
        stream: this.#stream,
        numPartitions,
        ...(maxRowsPerBatch === undefined ? {} : { maxRowsPerBatch }),
      });
    const options = { table: this.#table };
    const made =
      postgres === undefined
        ? source.writeStream.format(Memory).options(options)
        : source.writeStream.format(Postgres).options(options);
    this.#pipeline = made.merge(optionsOf(plan)) as unknown as Pipeline;
  }

  async merge({ rows, failsOnce, kill }: ChangeBatch): Promise<void> {
    addTo(this.#stream, rows);
    if (failsOnce) failOnce(this.#stream);
    await this.#runs.runStream(this.#pipeline, kill);
  }

  get hasMicroBatches(): boolean {
    return this.#plan.maxRowsPerBatch !== undefined;
  }

  async drop(): Promise<void> {
    await this.#postgres?.session.query(
      `DROP TABLE IF EXISTS ${this.#table}, ${this.#table}_millrace_changes`,
    );
  }

  async rows(): Promise<readonly string[]> {
    const columns = storedOf(this.#plan);
    if (this.#postgres === undefined) return canonicalRows(columns, memoryTable(this.#table).rows());
    const { rows } = await this.#postgres.session.query<{ found: string | null }>(
      `SELECT to_regclass('${this.#table}') AS found`,
    );
    return rows[0]?.found == null ? [] : await postgresRows(this.#postgres, columns, this.#table);
  }
}

export function optionsOf(plan: ChangesPlan): MergeStreamOptions {
  const { shape, deletes, exceptColumns, type, onEqualSequence } = plan;
  return {
    keys: shape.keys,
    sequenceBy: shape.sequenceBy,
    exceptColumns,
    storedAsScdType: type,
    onEqualSequence,
    ...(deletes === undefined ? {} : { applyAsDeletes: deletes.engine }),
  };
}

/** Tells that a table differs from what SQL says after a batch. */
export type OnDifference = (target: string, at: number, kind: string, details: string) => Error;

/** Merges all batches. Returns how many, and how many were errors. */
export async function runChanges(
  plan: ChangesPlan,
  { duckDb, postgres }: { readonly duckDb: DuckDb; readonly postgres: PostgresDatabase | undefined },
  differs: OnDifference,
): Promise<{ readonly steps: number; readonly errors: number }> {
  const reference = new ReferenceFeed(duckDb, plan);
  await reference.create();
  const targets = [new FeedTarget(plan), ...(postgres === undefined ? [] : [new FeedTarget(plan, postgres)])];
  for (const [at, batch] of plan.batches.entries()) {
    const wrong = await reference.add(batch.rows);
    const expected = await reference.rows();
    for (const target of targets) {
      const difference = await differenceOf(target, batch, wrong, expected);
      if (difference !== undefined) throw differs(target.name, at, ...difference);
    }
    // The stream cannot go on behind rows that it cannot merge.
    if (wrong !== undefined) return { steps: at + 1, errors: 1 };
  }
  for (const target of targets) await target.drop();
  return { steps: plan.batches.length, errors: 0 };
}

/** Merges a batch. Returns what differs from SQL, and its details. */
async function differenceOf(
  target: FeedTarget,
  batch: ChangeBatch,
  wrong: string | undefined,
  expected: readonly string[],
): Promise<readonly [string, string] | undefined> {
  const error: unknown = await target.merge(batch).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  const thrown = error === undefined ? undefined : MillraceError.is(error) ? error.code : String(error);
  const code = thrown?.replace(/^(?:KEY|SEQUENCE)_IS_NULL$/, "NULL");
  if (code !== wrong)
    return [`ends with ${code ?? "no error"} and not with ${wrong ?? "none"}`, String(error)];
  // Micro-batches before the one with the error are merged.
  if (wrong !== undefined && target.hasMicroBatches) return undefined;
  const found = await target.rows();
  if (found.join("\n") === expected.join("\n")) return undefined;
  return ["has other rows", `expected:\n  ${expected.join("\n  ")}\nfound:\n  ${found.join("\n  ")}`];
}
