import { Buffer, isUtf8 } from "node:buffer";
import { gunzipSync } from "node:zlib";
import { MillraceError } from "../../../contract/errors.ts";
import { JsonFault } from "../../kit/json-parser.ts";
import { checkedSchema, highestFieldId, visitIds } from "./check-schema.ts";
import { parseJson, stringifyJson } from "./json.ts";
import { invalidMetadata, JsonObject } from "./json-object.ts";
import type {
  IcebergSchema,
  PartitionField,
  PartitionSpec,
  Snapshot,
  SnapshotRef,
  TableMetadata,
} from "./types.ts";

/** The branch whose head is the table's current snapshot. */
export const MAIN = "main";

const VERSION_KEY = "format-version";

/** Ids of partition fields begin after this. */
const LAST_PARTITION_ID = 999;

/** A table with 10,000 snapshots has about 8 MB of metadata. */
const MAX_METADATA_BYTES = 512 * 1024 * 1024;

/**
 * Returns the metadata of a table. `value` is the bytes of a metadata file, compressed with gzip or
 * not, its text, or what `parseJson` made of it. `location` is the table or file for messages.
 * Unknown keys are kept. Errors: `TABLE_METADATA_INVALID`, `TABLE_VERSION_NOT_SUPPORTED`.
 */
export function parseMetadata(value: unknown, location: string): TableMetadata {
  const root = new JsonObject(jsonOf(value, location), "", location);
  checkVersion(root, location);
  const refs = checkedRefs(root);
  const current = root.optionalSnapshotId("current-snapshot-id");
  const { "current-snapshot-id": _, ...rest } = root.json;
  const metadata: TableMetadata = {
    ...rest,
    "format-version": 2,
    "table-uuid": root.text("table-uuid"),
    location: root.text("location").replace(/(?<=[^/])\/+$/, ""),
    "last-sequence-number": root.long("last-sequence-number"),
    "last-updated-ms": root.integer("last-updated-ms"),
    "last-column-id": root.integer("last-column-id"),
    schemas: root.objects("schemas").map(checkedSchema),
    "current-schema-id": root.integer("current-schema-id"),
    "partition-specs": root.objects("partition-specs").map(checkedSpec),
    "default-spec-id": root.integer("default-spec-id"),
    "last-partition-id": root.integer("last-partition-id"),
    "sort-orders": root.objects("sort-orders").map(checkedSortOrder),
    "default-sort-order-id": root.integer("default-sort-order-id"),
    properties: root.texts("properties"),
    ...(current === undefined ? {} : { "current-snapshot-id": current }),
    snapshots: root.optionalObjects("snapshots").map(checkedSnapshot),
    "snapshot-log": root.optionalObjects("snapshot-log").map((entry) => ({
      ...entry.json,
      "snapshot-id": entry.snapshotId(),
      "timestamp-ms": entry.integer("timestamp-ms"),
    })),
    "metadata-log": root.optionalObjects("metadata-log").map((entry) => ({
      ...entry.json,
      "metadata-file": entry.text("metadata-file"),
      "timestamp-ms": entry.integer("timestamp-ms"),
    })),
    // Files of old writers have no refs, and main is then the current snapshot.
    refs:
      current === undefined || refs[MAIN] !== undefined
        ? refs
        : { ...refs, [MAIN]: { "snapshot-id": current, type: "branch" } },
  };
  checkReferences(metadata, location);
  return metadata;
}

function jsonOf(value: unknown, location: string): unknown {
  const text = value instanceof Uint8Array ? textOf(value, location) : value;
  if (typeof text !== "string") return text;
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonFault)) throw error;
    throw invalidMetadata(location, `it is not JSON: ${error.message}`);
  }
}

function textOf(bytes: Uint8Array, location: string): string {
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b;
  const plain = isGzip ? unzip(bytes, location) : bytes;
  if (!isUtf8(plain)) throw invalidMetadata(location, "it is not UTF-8");
  return Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength).toString();
}

function unzip(bytes: Uint8Array, location: string): Uint8Array {
  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_METADATA_BYTES });
  } catch {
    throw invalidMetadata(location, "its gzip data is damaged or too large");
  }
}

function checkVersion(root: JsonObject, location: string): void {
  const version = root.integer(VERSION_KEY);
  if (version !== 2) throw unsupportedVersion(String(version), location);
}

function unsupportedVersion(version: string, location: string): MillraceError {
  return new MillraceError(
    "TABLE_VERSION_NOT_SUPPORTED",
    `the table ${location} has format version ${version}, and Millrace reads and writes version 2`,
    {
      where: { path: location },
      hint:
        version === "1"
          ? "Upgrade the table, for example in Spark: ALTER TABLE … SET TBLPROPERTIES ('format-version' = '2'). Then run `millrace run` again."
          : "Tables cannot be downgraded. Name another table in the sink's options, copy the rows into it, and run `millrace run` again.",
    },
  );
}

function checkedSpec(spec: JsonObject): PartitionSpec {
  return {
    ...spec.json,
    "spec-id": spec.integer("spec-id"),
    fields: spec.objects("fields").map((field) => ({
      ...field.json,
      "source-id": field.integer("source-id"),
      "field-id": field.integer("field-id"),
      name: field.text("name"),
      transform: field.text("transform"),
    })),
  };
}

function checkedSortOrder(order: JsonObject): TableMetadata["sort-orders"][number] {
  return {
    ...order.json,
    "order-id": order.integer("order-id"),
    fields: order.objects("fields").map(({ json }) => json),
  };
}

/**
 * Returns a snapshot of JSON. One of a table that was upgraded from version 1 has no sequence
 * number, which means 0, and perhaps no summary.
 */
export function checkedSnapshot(snapshot: JsonObject): Snapshot {
  const parent = snapshot.optionalSnapshotId("parent-snapshot-id");
  const schemaId = snapshot.optionalInteger("schema-id");
  const { "parent-snapshot-id": _, "schema-id": __, ...rest } = snapshot.json;
  return {
    ...rest,
    "snapshot-id": snapshot.snapshotId(),
    ...(parent === undefined ? {} : { "parent-snapshot-id": parent }),
    "sequence-number": snapshot.json["sequence-number"] === undefined ? 0 : snapshot.long("sequence-number"),
    "timestamp-ms": snapshot.integer("timestamp-ms"),
    "manifest-list": snapshot.text("manifest-list"),
    summary: snapshot.texts("summary"),
    ...(schemaId === undefined ? {} : { "schema-id": schemaId }),
  };
}

const REF_LIMITS = ["min-snapshots-to-keep", "max-snapshot-age-ms", "max-ref-age-ms"] as const;

function checkedRefs(root: JsonObject): Record<string, SnapshotRef> {
  const refs = root.optionalObject("refs").entries();
  return Object.fromEntries(refs.map(([name, ref]) => [name, checkedRef(ref)]));
}

function checkedRef(ref: JsonObject): SnapshotRef {
  const type = ref.text("type").toLowerCase();
  if (type !== "branch" && type !== "tag") throw ref.fail("the type is neither branch nor tag");
  const limits = REF_LIMITS.filter((key) => ref.optionalInteger(key) !== undefined);
  const { "min-snapshots-to-keep": _, "max-snapshot-age-ms": __, "max-ref-age-ms": ___, ...rest } = ref.json;
  return {
    ...rest,
    "snapshot-id": ref.snapshotId(),
    type,
    ...Object.fromEntries(limits.map((key) => [key, ref.integer(key)])),
  };
}

/** Checks that ids are unique, and that what an id names is there. */
export function checkReferences(metadata: TableMetadata, location: string): void {
  const fail = (problem: string) => invalidMetadata(location, problem);
  const unique = (what: string, ids: readonly (number | bigint)[]) => {
    if (new Set(ids).size < ids.length) throw fail(`an id of ${what} is there twice`);
    return (id: number | bigint | undefined) => id === undefined || ids.includes(id);
  };
  const hasSchema = unique(
    "schemas",
    metadata.schemas.map((schema) => schema["schema-id"]),
  );
  if (!hasSchema(metadata["current-schema-id"])) throw fail("the current schema is missing");
  const hasSpec = unique(
    "partition-specs",
    metadata["partition-specs"].map((spec) => spec["spec-id"]),
  );
  if (!hasSpec(metadata["default-spec-id"])) throw fail("the default partition spec is missing");
  const hasOrder = unique(
    "sort-orders",
    metadata["sort-orders"].map((order) => order["order-id"]),
  );
  if (!hasOrder(metadata["default-sort-order-id"])) throw fail("the default sort order is missing");
  checkIds(metadata, fail);
  checkSnapshots(metadata, fail);
}

function checkIds(metadata: TableMetadata, fail: (problem: string) => MillraceError): void {
  for (const schema of metadata.schemas)
    if (highestFieldId(schema) > metadata["last-column-id"])
      throw fail(`schema ${schema["schema-id"]} has a field id beyond last-column-id`);
  const columns = new Set<number>();
  visitIds(currentSchema(metadata), (id) => columns.add(id));
  const ids = new Set<number>();
  for (const field of currentSpec(metadata).fields) {
    if (ids.has(field["field-id"])) throw fail(`the partition field id ${field["field-id"]} is there twice`);
    ids.add(field["field-id"]);
    if (!columns.has(field["source-id"]) && field.transform !== "void")
      throw fail(`the partition field ${field.name} has no column in the current schema`);
  }
  for (const spec of metadata["partition-specs"])
    if (spec.fields.some((field) => field["field-id"] > metadata["last-partition-id"]))
      throw fail(`partition spec ${spec["spec-id"]} has a field id beyond last-partition-id`);
}

function checkSnapshots(metadata: TableMetadata, fail: (problem: string) => MillraceError): void {
  const ids = new Set<bigint>();
  for (const snapshot of metadata.snapshots) {
    const id = snapshot["snapshot-id"];
    if (ids.has(id)) throw fail(`snapshot ${id} is there twice`);
    ids.add(id);
    if (snapshot["sequence-number"] > metadata["last-sequence-number"])
      throw fail(`snapshot ${id} has a sequence number beyond last-sequence-number`);
  }
  for (const [name, ref] of Object.entries(metadata.refs))
    if (!ids.has(ref["snapshot-id"])) throw fail(`the snapshot of the ${ref.type} ${name} is missing`);
  if (metadata["current-snapshot-id"] !== metadata.refs[MAIN]?.["snapshot-id"])
    throw fail("current-snapshot-id is not the head of the branch main");
  if (metadata.refs[MAIN]?.type === "tag") throw fail("main is a tag");
}

/** Returns the text of a metadata file. */
export function metadataJson(metadata: TableMetadata): string {
  // Java and Python write -1 for a table without snapshots.
  return stringifyJson({ ...metadata, "current-snapshot-id": metadata["current-snapshot-id"] ?? -1 });
}

/** A table that is to be created. */
export interface NewMetadata {
  readonly uuid: string;
  readonly location: string;
  /** The field ids are kept. */
  readonly schema: IcebergSchema;
  readonly partitionFields: readonly PartitionField[];
  readonly properties: Readonly<Record<string, string>>;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * Returns the metadata of a table without snapshots. As in all catalogs, the property
 * `format-version` is not kept as a property. Errors: `TABLE_METADATA_INVALID`,
 * `TABLE_VERSION_NOT_SUPPORTED`.
 */
export function newMetadata(table: NewMetadata): TableMetadata {
  const { [VERSION_KEY]: version = "2", ...properties } = table.properties;
  if (version !== "2") throw unsupportedVersion(version, table.location);
  const fieldIds = table.partitionFields.map((field) => field["field-id"]);
  const metadata = {
    "format-version": 2,
    "table-uuid": table.uuid,
    location: table.location,
    "last-sequence-number": 0,
    "last-updated-ms": table.now,
    "last-column-id": highestFieldId(table.schema),
    "current-schema-id": 0,
    schemas: [{ ...table.schema, "schema-id": 0 }],
    "default-spec-id": 0,
    "partition-specs": [{ "spec-id": 0, fields: table.partitionFields }],
    "last-partition-id": Math.max(LAST_PARTITION_ID, ...fieldIds),
    "default-sort-order-id": 0,
    "sort-orders": [{ "order-id": 0, fields: [] }],
    properties,
    refs: {},
    snapshots: [],
    statistics: [],
    "partition-statistics": [],
    "snapshot-log": [],
    "metadata-log": [],
  };
  return parseMetadata(metadata, table.location);
}

export function currentSchema(metadata: TableMetadata): IcebergSchema {
  return schemaById(metadata, metadata["current-schema-id"]);
}

/** Error: `TABLE_METADATA_INVALID` if there is no such schema. */
export function schemaById(metadata: TableMetadata, id: number): IcebergSchema {
  const found = metadata.schemas.find((schema) => schema["schema-id"] === id);
  if (found === undefined) throw invalidMetadata(metadata.location, `schema ${id} is missing`);
  return found;
}

export function currentSpec(metadata: TableMetadata): PartitionSpec {
  return specById(metadata, metadata["default-spec-id"]);
}

/** Error: `TABLE_METADATA_INVALID` if there is no such partition spec. */
export function specById(metadata: TableMetadata, id: number): PartitionSpec {
  const found = metadata["partition-specs"].find((spec) => spec["spec-id"] === id);
  if (found === undefined) throw invalidMetadata(metadata.location, `partition spec ${id} is missing`);
  return found;
}

/** Returns the current snapshot, which is the head of the branch main. */
export function headSnapshot(metadata: TableMetadata): Snapshot | undefined {
  const id = metadata["current-snapshot-id"];
  return metadata.snapshots.find((snapshot) => snapshot["snapshot-id"] === id);
}
