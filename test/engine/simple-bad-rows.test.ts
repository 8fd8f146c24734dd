import { describe, expect, it } from "vitest";
import { Memory, memoryTable } from "../../shared/connectors/memory/index.ts";
import { BadRow, type OnBadRow } from "../../shared/contract/bad-rows.ts";
import { DataSource } from "../../shared/contract/data-source.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import type { SimpleRead } from "../../shared/contract/stream-reader.ts";
import { type Row, SimpleDataSourceStreamReader } from "../../shared/contract/stream-reader.ts";
import { runPipeline } from "../../shared/testing/run-pipeline.ts";

type Position = { readonly n: number };

const BATCH = 5;
let items: readonly Row[] = [];

class Reader extends SimpleDataSourceStreamReader<Position> {
  override initialOffset(): Position {
    return { n: 0 };
  }
  override read({ n }: Position): SimpleRead<Position> {
    const end = Math.min(items.length, n + BATCH);
    return { rows: items.slice(n, end), offset: { n: end } };
  }
  override readBetweenOffsets(start: Position, end: Position): readonly Row[] {
    return items.slice(start.n, end.n);
  }
}

class Items extends DataSource {
  override schema(): string {
    return "id bigint NOT NULL, total decimal(12,2)";
  }
  override simpleStreamReader(): Reader {
    return new Reader();
  }
}

let made = 0;

function pipelineOf(policy: OnBadRow, max?: number, schema?: string, given?: string) {
  const name = given ?? `simple-bad-rows-${++made}`;
  const read = pipeline(name).readStream.format(Items);
  const stream = (schema === undefined ? read : read.schema(schema)).writeStream.format(Memory);
  const definition = stream.options({ table: name }).onBadRow(policy, max === undefined ? {} : { max });
  return { name, definition: definition as unknown as Pipeline };
}

const ids = (name: string) =>
  memoryTable(name)
    .rows()
    .map(({ id }) => Number(id))
    .sort((a, b) => a - b);
const row = (id: number): Row => ({ id, total: "1.50" });
const notANumber = (id: number): Row => ({ id, total: "N/A" });
const fitting = () => items.map((_, id) => id).filter((id) => id % 5 !== 3);

describe("bad rows of a simple reader", () => {
  it("A row that does not fit goes to the quarantine with its place, and is sent again after the fix", async () => {
    items = Array.from({ length: 12 }, (_, id) => (id % 5 === 3 ? notANumber(id) : row(id)));
    const { name, definition } = pipelineOf("quarantine", 1);
    const after = await runPipeline(definition, { batches: 10 });
    expect(ids(name)).toEqual(fitting());
    expect(after.quarantine).toMatchObject([
      { batchId: 0, reason: { code: "ROW_MISMATCH", where: { row: 4, partition: 0 } }, row: { id: 3 } },
      { batchId: 1, reason: { code: "ROW_MISMATCH", where: { row: 4, field: "total" } }, row: { id: 8 } },
    ]);

    // A retry in vain keeps the places.
    const again = await runPipeline(definition, { after, retryQuarantine: true });
    const lastRow = 'row 4, field "total"';
    expect(again.quarantine).toMatchObject([
      { reason: { message: expect.stringContaining(lastRow), where: { row: 4 } }, row: { id: 3 } },
      { reason: { message: expect.stringContaining(lastRow), where: { row: 4 } }, row: { id: 8 } },
    ]);

    const fixed = pipelineOf("quarantine", 1, "id bigint NOT NULL, total string", `${name}`).definition;
    const { quarantine } = await runPipeline(fixed, { after: again, retryQuarantine: true });
    expect(quarantine).toEqual([]);
    expect(ids(name)).toEqual(items.map((_, id) => id));
  });

  it("A row that is dropped is counted, and too many abort the batch", async () => {
    items = [row(0), notANumber(1), row(2), new BadRow(malformed(), "{") as unknown as Row];
    const { name, definition } = pipelineOf("drop");
    const { state } = await runPipeline(definition);
    expect(ids(name)).toEqual([0, 2]);
    const [batch] = await state.ledger.batches(name, { limit: 1 });
    expect(batch?.progress).toMatchObject({ rows: 2, bad: { rows: 2 } });
    await expect(runPipeline(pipelineOf("drop", 1).definition)).rejects.toMatchObject({
      code: "BAD_ROWS_TOO_MANY",
    });
  });

  it("A row that does not fit fails the planning if the pipeline says so", async () => {
    items = [row(0), notANumber(1)];
    await expect(runPipeline(pipelineOf("fail").definition)).rejects.toMatchObject({
      code: "ROW_MISMATCH",
      where: { row: 2, field: "total" },
    });
  });
});

function malformed(): MillraceError {
  return new MillraceError("RECORD_NOT_JSON", "a line is no JSON");
}
