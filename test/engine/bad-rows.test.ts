import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Memory, memoryTable } from "../../shared/connectors/memory/index.ts";
import { BadRow, type OnBadRow } from "../../shared/contract/bad-rows.ts";
import { DataSource } from "../../shared/contract/data-source.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { DataSourceStreamReader, type Row } from "../../shared/contract/stream-reader.ts";
import { decodeContent, encodeContent } from "../../shared/engine/bad-rows/content.ts";
import { type PipelineRun, runPipeline } from "../../shared/testing/run-pipeline.ts";

type Position = { readonly n: number };
type Slice = { readonly from: number; readonly to: number };

const PARTITION = 10;
const BATCH = 30;

/** The rows of the source, in batches of three partitions. Each may be a `BadRow`. */
let items: readonly (Row | BadRow)[] = [];
/** Contents that the reader can read by now. */
let readable = new Map<unknown, Row>();

class Reader extends DataSourceStreamReader<Position, Slice> {
  override initialOffset(): Position {
    return { n: 0 };
  }
  override latestOffset({ n }: Position): Position {
    return { n: Math.min(n + BATCH, items.length) };
  }
  override partitions({ n }: Position, end: Position): Slice[] {
    const count = Math.ceil((end.n - n) / PARTITION);
    return Array.from({ length: count }, (_, i) => ({
      from: n + i * PARTITION,
      to: Math.min(end.n, n + (i + 1) * PARTITION),
    }));
  }
  override *read({ from, to }: Slice): Generator<Row> {
    yield* items.slice(from, to) as Row[];
  }
  *readBadRows(contents: readonly unknown[]): Generator<Row> {
    for (const content of contents)
      yield readable.get(content) ?? (new BadRow(malformed(), content) as unknown as Row);
  }
}

class Items extends DataSource {
  override schema(): string {
    return "id bigint NOT NULL, total decimal(12,2)";
  }
  override streamReader(): Reader {
    return new Reader();
  }
}

function malformed(): MillraceError {
  return new MillraceError("RECORD_NOT_JSON", "a line is no JSON", { where: { path: "a.jsonl", row: 7 } });
}

let made = 0;

interface Made {
  readonly name: string;
  run(after?: PipelineRun, options?: { readonly retryQuarantine?: boolean }): Promise<PipelineRun>;
}

/** A pipeline into a memory table of its own. */
function pipelineOf(
  policy: OnBadRow | undefined,
  options: {
    readonly max?: number;
    readonly schema?: string;
    readonly name?: string;
    readonly exchanges?: boolean;
  } = {},
): Made {
  const name = options.name ?? `bad-rows-${++made}`;
  const read = pipeline(name).readStream.format(Items);
  const typed = options.schema === undefined ? read : read.schema(options.schema);
  const source = options.exchanges === true ? typed.repartition(2, "id") : typed;
  const stream = source.writeStream.format(Memory).options({ table: name });
  const definition =
    policy === undefined
      ? stream
      : stream.onBadRow(policy, options.max === undefined ? {} : { max: options.max });
  return {
    name,
    run: async (after, how = {}) =>
      await runPipeline(definition as unknown as Pipeline, {
        batches: 10,
        ...how,
        ...(after === undefined ? {} : { after }),
      }),
  };
}

const ids = (name: string) =>
  memoryTable(name)
    .rows()
    .map(({ id }) => Number(id))
    .sort((a, b) => a - b);

const row = (id: number): Row => ({ id, total: "1.50" });
const notANumber = (id: number): Row => ({ id, total: "N/A" });

describe("bad rows", () => {
  it("A bad row fails the batch if the pipeline says nothing else", async () => {
    items = [row(0), notANumber(1), row(2)];
    for (const policy of [undefined, "fail"] as const) {
      const { run } = pipelineOf(policy);
      await expect(run()).rejects.toMatchObject({ code: "ROW_MISMATCH", where: { row: 2, field: "total" } });
    }
    items = [row(0), new BadRow(malformed(), "{")];
    const { run, name } = pipelineOf("fail");
    await expect(run()).rejects.toMatchObject({
      code: "RECORD_NOT_JSON",
      where: { path: "a.jsonl", row: 7, pipeline: name, partition: 0 },
    });
  });

  it("A bad row that is dropped is counted, and the others are written", async () => {
    items = Array.from({ length: 45 }, (_, id) => (id % 10 === 3 ? notANumber(id) : row(id)));
    const { run, name } = pipelineOf("drop");
    const { state, quarantine } = await run();
    expect(ids(name)).toEqual(items.map((_, id) => id).filter((id) => id % 10 !== 3));
    expect(quarantine).toEqual([]);
    const batches = await state.ledger.batches(name, { limit: 10 });
    expect(batches.map(({ progress }) => progress?.bad)).toEqual([{ rows: 2 }, { rows: 3 }]);
    expect((await state.ledger.head(name))?.quarantinedRows).toBeUndefined();
  });

  it("A bad row is kept with its reason, its place and its values", async () => {
    items = [row(0), notANumber(1), new BadRow(malformed(), "{"), [3, "N/A"], null as unknown as Row, row(5)];
    const { run, name } = pipelineOf("quarantine");
    const { quarantine, state } = await run();
    expect(ids(name)).toEqual([0, 5]);
    const where = { pipeline: name, batchId: 0, partition: 0, attempt: 1, attemptNumber: 0 };
    expect(quarantine).toMatchObject([
      {
        batchId: 0,
        reason: { code: "ROW_MISMATCH", where: { ...where, row: 2, field: "total" } },
        row: { id: 1, total: "N/A" },
      },
      { reason: { code: "RECORD_NOT_JSON", where: { ...where, path: "a.jsonl", row: 7 } }, raw: "{" },
      { reason: { where: { row: 4 } }, row: { id: 3, total: "N/A" } },
      { reason: { code: "ROW_NOT_A_ROW", where: { row: 5 } }, row: null },
    ]);
    expect((await state.ledger.head(name))?.quarantinedRows).toBe(4);
  });

  it("A batch with more bad rows than allowed is aborted, also if no task has too many", async () => {
    items = Array.from({ length: BATCH }, (_, id) => (id % 10 === 3 ? notANumber(id) : row(id)));
    const over = pipelineOf("quarantine", { max: 2 });
    const failed = over.run();
    await expect(failed).rejects.toMatchObject({ code: "BAD_ROWS_TOO_MANY", where: { batchId: 0 } });
    expect(memoryTable(over.name).rows()).toEqual([]);
    const inTask = pipelineOf("drop", { max: 0 });
    await expect(inTask.run()).rejects.toMatchObject({
      code: "BAD_ROWS_TOO_MANY",
      where: { partition: 0, row: 4 },
    });
    const allowed = pipelineOf("quarantine", { max: 3 });
    expect((await allowed.run()).quarantine).toHaveLength(3);
  });

  it("Bad rows of tasks that exchange their rows are kept, too", async () => {
    items = Array.from({ length: BATCH }, (_, id) => (id % 10 === 3 ? notANumber(id) : row(id)));
    const { run, name } = pipelineOf("quarantine", { exchanges: true });
    const { quarantine } = await run();
    expect(ids(name)).toHaveLength(27);
    expect(quarantine.map((kept) => (kept.row as { id: number }).id)).toEqual([3, 13, 23]);
  });

  it("Good and bad rows together are each there once, whatever rows are bad", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom("good", "good", "mismatch", "raw", "nested"), { maxLength: 80 }),
        fc.boolean(),
        async (kinds, exchanges) => {
          items = kinds.map((kind, id) => {
            if (kind === "raw") return new BadRow(malformed(), { id });
            const tags = kind === "nested" ? [{ k: [1, 2] }, { k: [3, "x"] }] : [{ k: [id] }, null];
            return {
              id,
              text: `t${id}`,
              tags,
              m: new Map([["a", id]]),
              total: kind === "mismatch" ? "N/A" : 1.5,
            };
          });
          const schema =
            "id bigint NOT NULL, text string, tags array<struct<k: array<int>>>, m map<string, int>, total decimal(12,2)";
          const { run, name } = pipelineOf("quarantine", { schema, exchanges });
          const { quarantine } = await run();
          const kept = quarantine.map(({ row: values, raw }) =>
            Number(((values as Made & { id: number }) ?? raw).id),
          );
          expect([...ids(name), ...kept].sort((a, b) => a - b)).toEqual(kinds.map((_, id) => id));
          expect(kept.every((id) => kinds[id] !== "good")).toBe(true);
          for (const { id, text, tags } of memoryTable(name).rows())
            expect({ text, tags }).toEqual({ text: `t${id}`, tags: [{ k: [Number(id)] }, null] });
        },
      ),
      { numRuns: 60 },
    );
  });
});

describe("quarantined rows that are sent again", () => {
  it("After a fix each row is written once, and what still fails stays", async () => {
    items = [row(0), notANumber(1), new BadRow(malformed(), "{"), new BadRow(malformed(), "}"), row(4)];
    const before = pipelineOf("quarantine");
    const first = await before.run();
    expect(first.quarantine).toHaveLength(3);

    readable = new Map([["{", row(2)]]);
    const schema = "id bigint NOT NULL, total string";
    const after = pipelineOf("quarantine", { name: before.name, schema });
    const second = await after.run(first, { retryQuarantine: true });
    expect(second.batches).toMatchObject([{ batchId: 1, start: { n: 5 }, end: { n: 5 } }]);
    expect(second.rows).toEqual([
      { id: 1, total: "N/A" },
      { id: 2, total: "1.50" },
    ]);
    expect(second.quarantine).toMatchObject([{ batchId: 1, raw: "}" }]);
    expect(await second.state.ledger.head(before.name)).toMatchObject({
      quarantinedRows: 1,
      lastRetryBatchId: 1,
      offset: { n: 5 },
    });

    readable = new Map([["}", row(3)]]);
    const third = await after.run(second, { retryQuarantine: true });
    expect(third.rows).toEqual([{ id: 3, total: "1.50" }]);
    expect(third.quarantine).toEqual([]);
    const fourth = await after.run(third, { retryQuarantine: true });
    expect(fourth.batches).toEqual([]);
    items = [...items, row(5)];
    expect((await after.run(fourth)).rows).toEqual([{ id: 5, total: "1.50" }]);
  });

  it("A pipeline that writes all rows anew sends none again", async () => {
    items = [row(0), notANumber(1)];
    const name = `bad-rows-${++made}`;
    const complete = pipeline(name)
      .readStream.format(Items)
      .writeStream.format(Memory)
      .options({ table: name })
      .outputMode("complete")
      .onBadRow("quarantine") as unknown as Pipeline;
    const after = await runPipeline(complete);
    await expect(runPipeline(complete, { after, retryQuarantine: true })).rejects.toMatchObject({
      code: "RETRY_NOT_SUPPORTED",
    });
  });
});

describe("the content of rows as JSON", () => {
  it("Each value comes back as it was", () => {
    const value = fc.anything({ withBigInt: true, withDate: true, withMap: true, withTypedArray: false });
    fc.assert(
      fc.property(value, (content) => {
        const text = JSON.stringify(encodeContent(content));
        expect(JSON.stringify(encodeContent(decodeContent(JSON.parse(text))))).toBe(text);
      }),
    );
    const row = {
      n: 12n,
      at: new Date(5),
      bytes: Uint8Array.of(1, 2),
      $bigint: "1",
      none: undefined,
      m: new Map([[1, -0]]),
    };
    expect(decodeContent(JSON.parse(JSON.stringify(encodeContent(row))))).toEqual(row);
  });
});
