import type { Schema } from "apache-arrow";
import { arrangedMerge } from "../../contract/arrangement.ts";
import type { DataSource } from "../../contract/data-source.ts";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { MergeStream } from "../../contract/merge-stream.ts";
import type { PipelineDefinition } from "../../contract/pipeline-definition.ts";
import type { SupportsAutoCdc } from "../../contract/write/auto-cdc.ts";
import type { Table } from "../../contract/write/table.ts";
import type { WriteBuilder } from "../../contract/write/write-builder.ts";
import type { LogicalWriteInfo } from "../../contract/write/write-info.ts";
import { requires } from "../sessions/requirement.ts";
import { planMerge } from "./merge-plan.ts";
import { MergeWrite } from "./merge-write.ts";

/**
 * Returns a builder that makes the table merge a stream of changes. `info.schema` has the columns
 * of the stream. Throws `MERGE_INVALID`, `FILTER_INVALID`, `DISTRIBUTION_INVALID`, and the errors
 * of the table.
 */
export function newMergeBuilder(
  table: SupportsAutoCdc,
  settings: MergeStream,
  info: LogicalWriteInfo,
  where: ErrorLocation,
): WriteBuilder {
  const plan = planMerge(settings, info.schema, where);
  const { storedAsScdType, tombstonesKeptMilliseconds } = settings;
  const builder = table.newAutoCdcWriteBuilder({
    ...info,
    schema: plan.stored,
    rowIdSchema: plan.keys,
    metadataSchema: plan.metadata,
    storedAsScdType,
    tombstonesKeptMilliseconds,
  });
  return {
    build: async () => {
      const write = await builder.build();
      if (requires(write)) throw requiresOwn(where);
      return new MergeWrite(plan, write, where);
    },
  };
}

function requiresOwn(where: ErrorLocation): MillraceError {
  return new MillraceError(
    "DISTRIBUTION_INVALID",
    "the write of a merge requires a distribution or an order, but each task gets all changes of its keys",
    {
      where,
      hint: "Nothing was read or written. Let newAutoCdcWriteBuilder() build a write without requiredDistribution().",
    },
  );
}

/**
 * Returns the table that a data source merges changes into. Throws `MERGE_INVALID` or
 * `FILTER_INVALID` if the settings do not fit the columns of the stream or the output mode, and
 * `WRITE_NOT_SUPPORTED` if the table cannot merge.
 */
export async function mergeTable(
  dataSource: DataSource<object>,
  schema: Schema,
  { name: pipeline, outputs, source, sink, mergesStream }: PipelineDefinition,
): Promise<SupportsAutoCdc> {
  const where = { pipeline };
  if (source.arrangement !== undefined) throw arrangedMerge(where);
  if (outputs === "complete") {
    throw new MillraceError("MERGE_INVALID", '.outputMode("complete") cannot stand beside .merge()', {
      where,
      hint: 'Remove .outputMode("complete"): a merge keeps the rows of other keys.',
    });
  }
  if (mergesStream !== undefined) planMerge(mergesStream, schema, where);
  const table: Table | undefined =
    dataSource.autoCdcTable === undefined
      ? await dataSource.table?.(schema)
      : await dataSource.autoCdcTable(schema);
  if (isAutoCdcTable(table)) return table;
  throw new MillraceError(
    "WRITE_NOT_SUPPORTED",
    `"${sink.dataSource.name}" cannot merge a stream of changes`,
    {
      where,
      hint: "Nothing was read or written. Write to postgres, dynamodb or rest-api, or in tests to memory; or remove .merge(), and store the changes themselves.",
    },
  );
}

function isAutoCdcTable(table: Table | undefined): table is SupportsAutoCdc {
  return typeof (table as Partial<SupportsAutoCdc> | undefined)?.newAutoCdcWriteBuilder === "function";
}
