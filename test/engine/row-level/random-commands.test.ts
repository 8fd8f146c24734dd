import { describe, expect, it } from "vitest";
import {
  Memory,
  type MemoryOptions,
  MemoryStream,
  memoryTable,
} from "../../../shared/connectors/memory/index.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import type { SupportsWrite } from "../../../shared/contract/write/table.ts";
import { runPipeline } from "../../../shared/testing/index.ts";
import {
  Chance,
  type ModelRow,
  merged,
  randomCondition,
  randomMerge,
  randomValues,
  TABLE_DDL,
} from "./model.ts";

const HISTORIES = Number(process.env["HISTORIES"] ?? 8);
const STEPS = 6;

/** A table that cannot delete by itself, so that a delete is a row-level operation. */
class RowsOnly extends Memory {
  static override readonly name = "rows-only";

  override table(schema: never): SupportsWrite {
    const table = super.table(schema);
    for (const method of ["deleteWhere", "truncateTable"])
      Object.defineProperty(table, method, { value: undefined });
    return table;
  }
}

let names = 0;

class History {
  readonly #chance: Chance;
  readonly #name = `history-${names++}`;
  readonly #options: MemoryOptions;
  #rows: readonly ModelRow[] = [];
  #nextId = 0;

  constructor(seed: number, options: MemoryOptions) {
    this.#chance = new Chance(seed);
    this.#options = { ...options, table: this.#name, schema: TABLE_DDL };
  }

  async run(): Promise<void> {
    await this.#append();
    for (let i = 0; i < STEPS; i++) {
      const step = this.#chance.pick([
        () => this.#append(),
        () => this.#delete(),
        () => this.#update(),
        () => this.#merge(),
        () => this.#merge(),
      ]);
      await step();
      expect(sorted(memoryTable(this.#name).rows())).toEqual(sorted(this.#rows));
    }
  }

  #randomRows(count: number, id: () => number): ModelRow[] {
    const value = () => (this.#chance.below(4) === 0 ? null : this.#chance.below(5));
    return Array.from({ length: count }, () => ({ id: id(), k: value(), v: value() }));
  }

  #stream(rows: readonly ModelRow[]) {
    const stream = `${this.#name}-${names++}`;
    new MemoryStream(stream, TABLE_DDL).addData(rows);
    return pipeline(`p-${names++}`)
      .read.format(Memory)
      .options({ stream, numPartitions: 1 + this.#chance.below(3) });
  }

  async #append(): Promise<void> {
    const rows = this.#randomRows(1 + this.#chance.below(6), () => this.#nextId++);
    const { table = "" } = this.#options;
    await runPipeline(this.#stream(rows).write.format(Memory).options({ table }).mode("append"));
    this.#rows = [...this.#rows, ...rows];
  }

  get #target() {
    return pipeline(`p-${names++}`).table(RowsOnly, this.#options);
  }

  get #summary() {
    return memoryTable(this.#name).batches().at(-1)?.summary;
  }

  async #delete(): Promise<void> {
    const isAll = this.#chance.below(8) === 0;
    const condition = randomCondition(this.#chance, false);
    await run(this.#target.deleteWhere(isAll ? undefined : condition.predicate));
    const left = isAll ? [] : this.#rows.filter((row) => condition.holds(row, row) !== true);
    const isUnknown = isAll && this.#options.rowLevel === "group";
    expect(this.#summary).toMatchObject({ numDeletedRows: isUnknown ? -1 : this.#rows.length - left.length });
    this.#rows = left;
  }

  async #update(): Promise<void> {
    const condition = this.#chance.below(4) === 0 ? undefined : randomCondition(this.#chance, false);
    const values = randomValues(this.#chance, false);
    const where = condition === undefined ? {} : { where: condition.predicate };
    await run(this.#target.update({ set: values.set, ...where }));
    const changes = (row: ModelRow) => condition === undefined || condition.holds(row, row) === true;
    expect(this.#summary).toMatchObject({ numUpdatedRows: this.#rows.filter(changes).length });
    this.#rows = this.#rows.map((row) => (changes(row) ? { ...row, ...values.of(row, row) } : row));
  }

  async #merge(): Promise<void> {
    const merge = randomMerge(this.#chance);
    const fresh = () => (this.#chance.below(3) === 0 ? this.#nextId++ : this.#chance.below(this.#nextId + 1));
    const used = new Set<number>();
    const others = this.#randomRows(this.#chance.below(6), fresh).filter(({ id }) => {
      // Inserted ids stay unique, because they are row ids.
      const isNew =
        !used.has(id) &&
        !(
          this.#options.rowId !== undefined &&
          this.#rows.some((row) => row.id === id) &&
          merge.notMatched.length > 0
        );
      used.add(id);
      return isNew;
    });
    const expected = merged(this.#rows, others, merge);
    const running = run(this.#target.merge(this.#stream(others) as never, merge.clauses));
    if (expected === "violation") {
      await expect(running).rejects.toMatchObject({ code: "MERGE_CARDINALITY_VIOLATION" });
      return;
    }
    await running;
    expect(this.#summary).toMatchObject({
      kind: "MergeSummary",
      numTargetRowsUpdated: expected.updated,
      numTargetRowsDeleted: expected.deleted,
      numTargetRowsInserted: expected.inserted,
    });
    this.#rows = expected.rows;
    this.#nextId = Math.max(this.#nextId, ...this.#rows.map(({ id }) => id + 1));
  }
}

async function run(definition: Pipeline): Promise<void> {
  await runPipeline(definition);
}

function sorted(rows: readonly object[]): readonly string[] {
  return rows.map((row) => JSON.stringify(row, ["id", "k", "v"])).sort();
}

describe("random commands on a memory table", () => {
  it.each<[string, MemoryOptions]>([
    ["delta form, by place", { rowLevel: "delta" }],
    ["delta form, by key", { rowLevel: "delta", rowId: ["id"] }],
    ["group form", { rowLevel: "group" }],
  ])(
    "Random histories of appends, deletes, updates and merges in the %s mean the same as a naive model",
    async (_, options) => {
      const first = Number(process.env["SEED"] ?? 1);
      for (let seed = first; seed < first + HISTORIES; seed++) {
        try {
          await new History(seed, options).run();
        } catch (error) {
          throw new Error(`seed ${seed}: ${MillraceError.is(error) ? error.code : ""} ${String(error)}`, {
            cause: error,
          });
        }
      }
    },
  );
});
