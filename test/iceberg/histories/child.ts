import { openStore } from "../../../local/home.ts";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import type { CatalogOptions } from "../../../shared/connectors/iceberg/catalog/options.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";
import type { JsonValue } from "../../../shared/contract/json.ts";
import type { NamedRow } from "../../../shared/contract/stream-reader.ts";
import type { OpenBatch } from "../../../shared/contract/stream-writer.ts";
import { CountedCalls, type Kill } from "../support/calls.ts";
import { expireSnapshots, rollBack } from "../support/own-table.ts";
import { type BatchName, IcebergStream, type Recorded } from "../support/stream.ts";

/** The process that writes as Millrace does in a random history, and that is killed. */

interface Target {
  readonly table: string;
  readonly catalog: CatalogOptions;
  readonly pipeline: string;
}

/** What a history can ask of the process. */
export type WorkerRequest = Target & { readonly kill?: Kill } & (
    | { readonly do: "plan"; readonly ddl: string }
    | {
        readonly do: "stage";
        readonly ddl: string;
        readonly recorded: Recorded;
        readonly tasks: readonly (readonly NamedRow[])[];
        readonly batch: BatchName;
      }
    | {
        readonly do: "commit";
        readonly ddl: string;
        readonly recorded: Recorded;
        readonly messages: readonly JsonValue[];
        readonly batch: BatchName;
      }
    | { readonly do: "vacuum"; readonly open?: OpenBatch }
    | { readonly do: "expire"; readonly keep: number }
    | { readonly do: "roll back"; readonly snapshot: string }
  );

export type WorkerAnswer =
  | { readonly value: JsonValue; readonly calls: number }
  | { readonly error: string; readonly code: string };

const calls = new CountedCalls();
const runtime = {
  openStore: (location: string) => calls.store(openStore(location)),
};

async function answer(request: WorkerRequest): Promise<JsonValue> {
  const { table, catalog, pipeline } = request;
  const options = { table, catalog };
  const stream = new IcebergStream(options, { pipeline, onSchemaChange: "evolve", runtime });
  switch (request.do) {
    case "plan":
      return await stream.plan(parseDdl(request.ddl));
    case "stage": {
      const schema = parseDdl(request.ddl);
      const tasks = request.tasks.map((rows) => [recordBatchOf(schema, rows.map(withBigInts))]);
      return await stream.stage(request.recorded, schema, tasks, request.batch);
    }
    case "commit":
      await stream.commit(request.recorded, parseDdl(request.ddl), request.messages, request.batch);
      return null;
    case "vacuum":
      return { files: (await stream.vacuum(request.open)).files };
    case "expire":
      return await expireSnapshots(options, request.keep, runtime);
    case "roll back":
      await rollBack(options, request.snapshot, runtime);
      return null;
  }
}

/**
 * JSON has the values of `bigint` columns as text. Those of `string` columns begin with a letter.
 */
function withBigInts(row: NamedRow): NamedRow {
  const revive = (value: unknown) =>
    typeof value === "string" && /^\d+$/.test(value) ? BigInt(value) : value;
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, revive(value)]));
}

async function outcome(request: WorkerRequest): Promise<WorkerAnswer> {
  calls.arm(request.kill);
  try {
    const value = await answer(request);
    return { value, calls: calls.arm(undefined) };
  } catch (error) {
    return {
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      code: MillraceError.is(error) ? error.code : "",
    };
  }
}

process.on("message", (request: WorkerRequest) => {
  void outcome(request).then((sent) => process.send?.(sent));
});
process.once("disconnect", () => process.exit());
process.send?.("ready");
