import { gunzipSync, gzipSync } from "node:zlib";
import type { Schema } from "apache-arrow";
import { MillraceError } from "../../../contract/errors.ts";
import type { LogicalWriteInfo } from "../../../contract/write/write-info.ts";
import type { LoadedTable } from "../catalog/catalog.ts";
import { planSchema } from "../evolve/plan-schema.ts";
import type { FileIo } from "../file-io.ts";
import { currentSchema, currentSpec } from "../format/metadata.ts";
import { parsePartitionFields } from "../format/partition-spec.ts";
import { icebergSchemaOf } from "../format/schema.ts";
import type { IcebergSchema, PartitionField, PartitionSpec, TableMetadata } from "../format/types.ts";
import { planLocation } from "./names.ts";
import { filesAt, filesOf, type OpenCatalog, type SinkParts, tableGone, withCatalog } from "./open-table.ts";
import { replacedSchema } from "./unwritten-table.ts";

/**
 * What planning found out about the table. Tasks write their files by it and the commit checks it,
 * so that all steps of a batch mean the same columns.
 */
export interface WritePlan {
  readonly tableUuid: string;
  readonly location: string;
  /** The columns of the files, with their field ids. */
  readonly schema: IcebergSchema;
  /** Present if the commit must give the table this schema: what the table had before. */
  readonly evolves?: {
    readonly baseSchemaId: number;
    readonly baseLastColumnId: number;
    /** Present if the columns replace all that the table had, so that it must have no rows. */
    readonly isFirst?: true;
  };
  /** The greatest field id after the commit. */
  readonly lastColumnId: number;
  readonly spec: PartitionSpec;
  /** Table properties that say how files are written. */
  readonly properties: Readonly<Record<string, string>>;
  /** Columns of the rows that are left out. */
  readonly ignored: readonly string[];
  /** True if the catalog vends the credentials for the files. */
  readonly isVended: boolean;
}

/** Where the files of a planned table are, and how they are reached. */
export type TablePlace = Pick<WritePlan, "tableUuid" | "location" | "isVended">;

/** The recorded form of a plan: compressed, or the location of a file if it is large. */
export type RecordedPlan = { readonly plan: string } | ({ readonly planFile: string } & TablePlace);

/** Longest text that the ledger records with the batch. The engine's limit is 16 KiB. */
const MAX_RECORDED = 12 * 1024;

/** The properties of a new table, unless the pipeline sets them. */
const NEW_TABLE_PROPERTIES = {
  "write.metadata.delete-after-commit.enabled": "true",
  "write.metadata.previous-versions-max": "100",
  "write.parquet.compression-codec": "zstd",
};

/** Marks a table that a pipeline has created and not written yet. */
const CREATED_PROPERTY = "millrace.created";

/**
 * True if there is a table that counts for the save mode. One that a pipeline has just created does
 * not count until its first commit, because the run may have died in between.
 */
export function isTarget({ metadata }: LoadedTable): boolean {
  return metadata.snapshots.length > 0 || metadata.properties[CREATED_PROPERTY] === undefined;
}

/** Loads or creates the table, and plans the write of a batch. Error: `SCHEMA_CHANGED`. */
export async function planWrite(parts: SinkParts, info: LogicalWriteInfo): Promise<RecordedPlan> {
  return await withCatalog(parts, async (open) => {
    const { catalog, identifier } = open;
    const loaded = (await catalog.loadTable(identifier)) ?? (await createTable(parts, info.schema, open));
    checkPartitioning(parts, loaded);
    return await recorded(planOf(loaded, info), filesOf(parts, loaded));
  });
}

async function createTable(
  { options, runtime }: SinkParts,
  rows: Schema,
  { catalog, identifier }: OpenCatalog,
): Promise<LoadedTable> {
  const { schema } = icebergSchemaOf(rows);
  return await catalog.createTable(identifier, {
    ...(options.location === undefined ? {} : { location: options.location }),
    schema,
    partitionFields: parsePartitionFields(options.partitionBy ?? [], schema),
    properties: {
      ...NEW_TABLE_PROPERTIES,
      ...options.properties,
      [CREATED_PROPERTY]: new Date(runtime.now()).toISOString(),
    },
  });
}

/** Throws `PARTITIONING_DIFFERS` if the pipeline names another partitioning than the table has. */
function checkPartitioning({ options: { partitionBy, table } }: SinkParts, loaded: LoadedTable): void {
  if (partitionBy === undefined) return;
  const { metadata } = loaded;
  const schema = currentSchema(metadata);
  const textOf = (fields: readonly PartitionField[]) =>
    fields
      .filter(({ transform }) => transform !== "void")
      .map((field) => `${field["source-id"]} ${field.transform}`)
      .join();
  const { fields } = currentSpec(metadata);
  if (textOf(parsePartitionFields(partitionBy, schema)) === textOf(fields)) return;
  const found = fields.map(({ name, transform }) => `${name} (${transform})`).join(", ") || "no partitioning";
  throw new MillraceError(
    "PARTITIONING_DIFFERS",
    `the table ${table} has ${found}, and the option partitionBy is ${JSON.stringify(partitionBy)}`,
    {
      hint: isTarget(loaded)
        ? "Set partitionBy to what the table has, or leave it out, and `millrace run` again. Another engine can change the partitioning of a table."
        : "A run has created the table, and it has no rows yet. Set partitionBy to what the table has, or drop the table with another program, such as pyiceberg's drop_table, or name another one in the option table. Then `millrace run` again.",
    },
  );
}

function planOf(loaded: LoadedTable, info: LogicalWriteInfo): WritePlan {
  const { metadata, access } = loaded;
  const current = currentSchema(metadata);
  const baseLastColumnId = metadata["last-column-id"];
  const replaced = isTarget(loaded) ? undefined : replacedSchema(metadata, info.schema);
  const { schema, lastColumnId, changes, ignored } =
    replaced === undefined
      ? planSchema(current, baseLastColumnId, info.schema, info.onSchemaChange ?? "fail")
      : { ...replaced, changes: undefined, ignored: [] };
  return {
    tableUuid: metadata["table-uuid"],
    location: metadata.location,
    schema,
    ...(changes?.length === 0
      ? {}
      : {
          evolves: {
            baseSchemaId: current["schema-id"],
            baseLastColumnId,
            ...(replaced === undefined ? {} : { isFirst: true }),
          },
        }),
    lastColumnId,
    spec: currentSpec(metadata),
    properties: Object.fromEntries(
      Object.entries(metadata.properties).filter(([name]) => name.startsWith("write.")),
    ),
    ignored,
    isVended: access !== undefined,
  };
}

async function recorded(plan: WritePlan, io: FileIo): Promise<RecordedPlan> {
  const bytes = gzipSync(JSON.stringify(plan));
  const text = bytes.toString("base64");
  if (text.length <= MAX_RECORDED) return { plan: text };
  const planFile = planLocation(plan.location, bytes);
  await io.write(planFile, bytes);
  const { tableUuid, location, isVended } = plan;
  return { planFile, tableUuid, location, isVended };
}

/** Reads a recorded plan. Errors: `TABLE_FILE_MISSING`, `TABLE_NOT_FOUND`, `TABLE_REPLACED`. */
export async function readPlan(parts: SinkParts, recordedPlan: RecordedPlan): Promise<WritePlan> {
  const bytes =
    "plan" in recordedPlan
      ? Buffer.from(recordedPlan.plan, "base64")
      : await readPlanFile(parts, recordedPlan.planFile, recordedPlan);
  return JSON.parse(gunzipSync(bytes).toString()) as WritePlan;
}

async function readPlanFile(parts: SinkParts, planFile: string, place: TablePlace): Promise<Uint8Array> {
  try {
    return await (await taskFiles(parts, place)).read(planFile);
  } catch (error) {
    if (!MillraceError.is(error) || error.code !== "TABLE_FILE_MISSING") throw error;
    throw new MillraceError("PLAN_FILE_MISSING", `the plan of the batch is gone: ${planFile}`, {
      where: { path: planFile },
      hint: "Another program removed it. Nothing was committed. The next `millrace run` plans the batch again.",
    });
  }
}

/** Returns where the files of a recorded plan are, also if the plan cannot be read any more. */
export async function placeOf(parts: SinkParts, recordedPlan: RecordedPlan): Promise<TablePlace> {
  return "plan" in recordedPlan ? await readPlan(parts, recordedPlan) : recordedPlan;
}

/**
 * Opens the files of a planned table. Credentials that a catalog vends are not recorded, so they
 * are asked for again. Errors: `TABLE_NOT_FOUND`, `TABLE_REPLACED`.
 */
export async function taskFiles(parts: SinkParts, place: TablePlace): Promise<FileIo> {
  if (!place.isVended) return filesAt(parts, place.location);
  const loaded = await loadPlanned(parts);
  if (loaded === undefined) throw tableGone(parts.options.table);
  checkTable(parts, loaded.metadata, place);
  return filesOf(parts, loaded);
}

/**
 * Like `taskFiles`, but returns `undefined` if the table is gone or was made anew: its catalog then
 * vends no credentials for the files.
 */
export async function filesIfThere(parts: SinkParts, place: TablePlace): Promise<FileIo | undefined> {
  if (!place.isVended) return filesAt(parts, place.location);
  const loaded = await loadPlanned(parts);
  return loaded?.metadata["table-uuid"] === place.tableUuid ? filesOf(parts, loaded) : undefined;
}

async function loadPlanned(parts: SinkParts): Promise<LoadedTable | undefined> {
  return await withCatalog(parts, ({ catalog, identifier }) => catalog.loadTable(identifier));
}

/** Throws `TABLE_REPLACED` if the table is not the one of the plan. */
export function checkTable(
  { options }: SinkParts,
  metadata: TableMetadata,
  { tableUuid }: Pick<WritePlan, "tableUuid">,
): void {
  if (metadata["table-uuid"] === tableUuid) return;
  throw new MillraceError("TABLE_REPLACED", `the table ${options.table} was replaced by another one`, {
    hint: "Nothing was committed. The next `millrace run` plans the batch again for the new table.",
  });
}
