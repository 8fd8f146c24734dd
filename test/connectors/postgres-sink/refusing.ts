import { Postgres, type PostgresOptions } from "../../../shared/connectors/postgres/index.ts";
import type { OnBadRow } from "../../../shared/contract/bad-rows.ts";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import { DataSourceStreamReader, type Row } from "../../../shared/contract/stream-reader.ts";
import { type PipelineRun, runPipeline } from "../../../shared/testing/run-pipeline.ts";
import type { Database } from "../../postgres/databases.ts";

type Position = { readonly n: number };
type Slice = { readonly from: number; readonly to: number };

/** Rows that a source has, in one batch of four partitions. */
export interface Rows {
  readonly ddl: string;
  rows: readonly Row[];
}

let made = 0;

/** A pipeline from rows into the table `t` of a database, which may refuse some of them. */
export class Refusing {
  readonly db: Database;
  readonly source: Rows;
  readonly definition: Pipeline;
  #last: PipelineRun | undefined;

  constructor(
    db: Database,
    source: Rows,
    onBadRow: OnBadRow,
    {
      max,
      double = false,
      port,
      ...options
    }: Partial<PostgresOptions> & { max?: number; double?: boolean; port?: number } = {},
  ) {
    this.db = db;
    this.source = source;
    const read = pipeline(`refusing-${++made}`).readStream.format(sourceOf(source));
    // A step whose rows are not those of the source.
    const steps = double ? read.map(({ id, ...row }) => ({ ...row, id: Number(id) * 2 })) : read;
    this.definition = steps.writeStream
      .format(Postgres)
      .options({
        connection: { ...db.connection, ...(port === undefined ? {} : { port }) },
        table: "t",
        ...options,
      })
      .onBadRow(onBadRow, max === undefined ? {} : { max }) as unknown as Pipeline;
  }

  /** Runs until nothing is new. A run that fails is followed by the next one. */
  async run(options: { readonly retryQuarantine?: boolean } = {}): Promise<PipelineRun> {
    this.#last = await runPipeline(this.definition, {
      env: this.db.env,
      ...options,
      ...(this.#last === undefined ? {} : { after: this.#last }),
    });
    return this.#last;
  }

  async ids(): Promise<number[]> {
    return (await this.db.query("SELECT id FROM t ORDER BY id")).map(([id]) => Number(id));
  }

  async progress() {
    const ledger = this.#last?.state.ledger;
    const [batch] = (await ledger?.batches(this.definition.name, { limit: 1 })) ?? [];
    return { rows: batch?.progress?.rows, bad: batch?.progress?.bad?.rows };
  }
}

function sourceOf(given: Rows) {
  class Reader extends DataSourceStreamReader<Position, Slice> {
    override initialOffset(): Position {
      return { n: 0 };
    }
    override latestOffset(): Position {
      return { n: given.rows.length };
    }
    override partitions({ n }: Position, end: Position): Slice[] {
      const step = Math.max(1, Math.ceil((end.n - n) / 4));
      return Array.from({ length: Math.ceil((end.n - n) / step) }, (_, i) => ({
        from: n + i * step,
        to: Math.min(end.n, n + (i + 1) * step),
      }));
    }
    override *read({ from, to }: Slice): Generator<Row> {
      yield* given.rows.slice(from, to);
    }
  }
  return class Given extends DataSource {
    override schema(): string {
      return given.ddl;
    }
    override streamReader(): Reader {
      return new Reader();
    }
  };
}
