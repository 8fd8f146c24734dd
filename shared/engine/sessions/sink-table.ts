import type { Schema } from "apache-arrow";
import { type ColumnMatch, matchColumns } from "../../arrow/match-columns.ts";
import { toSchema } from "../../contract/ddl/to-schema.ts";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { PipelineDefinition } from "../../contract/pipeline-definition.ts";
import { filtersOf, predicatesOf } from "../../contract/write/convert-filters.ts";
import { predicatesText } from "../../contract/write/predicate-text.ts";
import {
  ALWAYS_TRUE,
  hasFormForTables,
  isAlwaysTrue,
  type Predicate,
} from "../../contract/write/predicates.ts";
import type { Table, TableCapability } from "../../contract/write/table.ts";
import type {
  SupportsDynamicOverwrite,
  SupportsOverwrite,
  SupportsOverwriteV2,
  SupportsTruncate,
  WriteBuilder,
} from "../../contract/write/write-builder.ts";
import type { Disposition } from "../../contract/write/writer-table.ts";

/** The settings of a pipeline that say what a write does with the table. */
export type WriteSettings = Pick<
  PipelineDefinition,
  "name" | "saveMode" | "overwrites" | "outputs" | "schemaChange"
>;

/** Returns which rows of the table the pipeline's writes replace. Throws `FILTER_INVALID`. */
export function dispositionOf({ saveMode, overwrites, outputs }: WriteSettings): Disposition {
  if (outputs === "complete") return { replaces: "all" };
  if (saveMode !== "overwrite") return { replaces: "none" };
  if (overwrites?.replaces !== "matching") return { replaces: overwrites?.replaces ?? "all" };
  const predicates = predicatesOf(overwrites.condition);
  return isAlwaysTrue(predicates) ? { replaces: "all" } : { replaces: "matching", predicates };
}

/**
 * Checks that the table can do what the pipeline asks of it. As in Spark, no builder is made before
 * this. Throws `WRITE_NOT_SUPPORTED`.
 */
export function checkCapabilities(table: Table, settings: WriteSettings): void {
  const has = (...anyOf: TableCapability[]) => anyOf.some((capability) => table.capabilities.has(capability));
  const { replaces } = dispositionOf(settings);
  const lacks = (feature: string, capability: TableCapability) =>
    notSupported(
      table,
      settings,
      `does not support ${feature}`,
      `the capability "${capability}"`,
      table.insteadOf?.[capability],
    );
  checkSchemaChange(table, settings);
  if (settings.saveMode === undefined) {
    // As in Spark, complete mode asks the builder and not the capability.
    if (!has("STREAMING_WRITE")) throw lacks("writing of a stream", "STREAMING_WRITE");
    return;
  }
  if (!has("BATCH_WRITE", "V1_BATCH_WRITE")) throw lacks("writing in a batch", "BATCH_WRITE");
  if (replaces === "all" && !has("TRUNCATE", "OVERWRITE_BY_FILTER"))
    throw lacks("truncate in a batch", "TRUNCATE");
  if (replaces === "matching" && !has("OVERWRITE_BY_FILTER"))
    throw lacks("overwrite by filter in a batch", "OVERWRITE_BY_FILTER");
  if (replaces === "partitions" && !(has("BATCH_WRITE") && has("OVERWRITE_DYNAMIC")))
    throw lacks("dynamic overwrite in a batch", "OVERWRITE_DYNAMIC");
}

function checkSchemaChange(table: Table, settings: WriteSettings): void {
  const { schemaChange = "fail" } = settings;
  if (schemaChange === "fail" || table.capabilities.has("AUTOMATIC_SCHEMA_EVOLUTION")) return;
  const verb = `.onSchemaChange("${schemaChange}")`;
  throw notSupported(
    table,
    settings,
    `does not support ${verb}`,
    'the capability "AUTOMATIC_SCHEMA_EVOLUTION"',
    table.insteadOf?.AUTOMATIC_SCHEMA_EVOLUTION ??
      `It needs the capability "AUTOMATIC_SCHEMA_EVOLUTION", as tables of Iceberg have it. Remove \`${verb}\`, and give the rows the columns of the table.`,
  );
}

/**
 * Returns how the rows are matched with the columns of the table, by name. `undefined` if the table
 * gets the rows as they are. Throws `COLUMNS_NOT_MATCHED` or `SCHEMA_INVALID`.
 */
export function columnMatch(table: Table, schema: Schema, settings: WriteSettings): ColumnMatch | undefined {
  if (table.schema === undefined || table.capabilities.has("ACCEPT_ANY_SCHEMA")) return undefined;
  // The table itself adds the other columns of the rows, or leaves them out.
  if (settings.schemaChange === "evolve" || settings.schemaChange === "ignore") return undefined;
  return matchColumns(schema, toSchema(table.schema), "name", { pipeline: settings.name });
}

type AnyBuilder = WriteBuilder &
  Partial<SupportsTruncate & SupportsDynamicOverwrite> &
  Partial<SupportsOverwriteV2 | SupportsOverwrite>;

/**
 * Tells the builder which rows the write replaces. Throws `WRITE_NOT_SUPPORTED` if it cannot
 * replace them.
 */
export function withDisposition(
  table: Table,
  settings: WriteSettings,
  given: WriteBuilder,
  disposition: Disposition,
): WriteBuilder {
  const builder = given as AnyBuilder;
  const refused = (problem: string, needs: string) => notSupported(table, settings, problem, needs);
  switch (disposition.replaces) {
    case "none":
      return builder;
    case "all":
      if (builder.truncate !== undefined) return builder.truncate();
      if (builder.overwrite !== undefined) return overwritten(builder as Overwriting, [ALWAYS_TRUE], refused);
      throw refused(
        settings.saveMode === undefined ? "does not support complete mode" : "cannot replace all rows",
        "a builder with truncate()",
      );
    case "matching":
      if (builder.overwrite === undefined)
        throw refused("cannot overwrite by filter", "a builder with overwrite()");
      return overwritten(builder as Overwriting, disposition.predicates, refused, true);
    case "partitions":
      if (builder.overwriteDynamicPartitions !== undefined) return builder.overwriteDynamicPartitions();
      throw refused("cannot overwrite partitions", "a builder with overwriteDynamicPartitions()");
  }
}

type Overwriting = SupportsOverwriteV2 | SupportsOverwrite;

/** Calls `overwrite` in the form that the builder takes; `asks` first if it can. */
function overwritten(
  builder: Overwriting,
  predicates: readonly Predicate[],
  refused: (problem: string, needs: string) => MillraceError,
  asks = false,
): WriteBuilder {
  const no = () =>
    refused(`cannot overwrite the rows with ${predicatesText(predicates)}`, "another condition");
  if (!predicates.every(hasFormForTables)) throw no();
  if (builder.filterForm !== "filters") {
    if (asks && builder.canOverwrite?.(predicates) === false) throw no();
    return builder.overwrite(predicates);
  }
  const filters = filtersOf(predicates);
  if (filters === undefined || (asks && builder.canOverwrite?.(filters) === false)) throw no();
  return builder.overwrite(filters);
}

/** Returns the name of the method that tells a builder what is replaced, for messages. */
export function methodOf({ replaces }: Disposition): string {
  const methods = {
    none: "newWriteBuilder",
    all: "truncate",
    matching: "overwrite",
    partitions: "overwriteDynamicPartitions",
  } as const;
  return methods[replaces];
}

/** The error of a table that promises a `V1Write` and builds another write. */
export function notV1(table: string, where: ErrorLocation): MillraceError {
  return new MillraceError(
    "WRITER_INVALID",
    `table "${table}" has the capability "V1_BATCH_WRITE", but its builder built no V1Write`,
    { where, hint: "Return an object of a class that extends V1Write, or remove the capability." },
  );
}

function notSupported(
  { name: table }: Table,
  { name: pipeline }: WriteSettings,
  problem: string,
  needs: string,
  instead = `It needs ${needs}. Choose a mode that the table supports, or another table.`,
): MillraceError {
  return new MillraceError("WRITE_NOT_SUPPORTED", `table "${table}" ${problem}`, {
    where: { pipeline },
    hint: `Nothing was read or written. ${instead}`,
  });
}
