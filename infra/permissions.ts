import { Stack } from "aws-cdk-lib";
import type { ITable } from "aws-cdk-lib/aws-dynamodb";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import type { IBucket } from "aws-cdk-lib/aws-s3";
import type { Construct } from "constructs";
import { ANY_BACKFILL, pipelinePartition, tasksPrefix } from "../shared/aws/names.ts";
import { BATCH_FILE, STORE_FOLDER, TABLE_FOLDER } from "../shared/contract/store-layout.ts";
import { type Folder, listing, objects, type StepName, uploads } from "./folders.ts";
import { type IcebergTable, icebergStatements } from "./iceberg-permissions.ts";

/** Where the data of a pipeline is stored. */
export interface Places {
  readonly pipeline: string;
  readonly table: ITable;
  readonly bucket: IBucket;
  /** Prefix of the pipeline's store in the bucket. */
  readonly prefix: string;
  /** The folder of an Arrow table outside the pipeline's store. */
  readonly lake?: Folder;
  /** The folder of the files that the source reads. */
  readonly source?: Folder;
  /** ARN of the table that a DynamoDB sink writes. */
  readonly sinkTable?: string;
  /** True if the tasks of the pipeline put items into that table. */
  readonly merges?: boolean;
  /** The Iceberg table of the sink. */
  readonly iceberg?: IcebergTable;
}

/** Returns the ARN of a table, which is given by its name or ARN. */
export function tableArn(scope: Construct, table: string | undefined): string | undefined {
  if (table === undefined || table.startsWith("arn:")) return table;
  return Stack.of(scope).formatArn({ service: "dynamodb", resource: "table", resourceName: table });
}

/**
 * Returns the least permissions of a step: each statement names its actions, its table or keys, and
 * the prefixes of its objects.
 */
export function statementsOf(step: StepName, places: Places): readonly PolicyStatement[] {
  const ledger = LEDGER[step](places);
  const objects = OBJECTS[step](places);
  return [
    ...ledger,
    ...objects,
    ...(places.lake === undefined ? [] : LAKE[step](places.lake)),
    ...(places.source === undefined ? [] : SOURCE[step](places.source)),
    ...(places.sinkTable === undefined ? [] : SINK_TABLE[step](places.sinkTable, places.merges === true)),
    ...(places.iceberg === undefined ? [] : icebergStatements(step, places.iceberg)),
  ];
}

type Statements = (places: Places) => readonly PolicyStatement[];

/**
 * Permissions on the ledger. Head, batches and journal have keys that start with `P#…`, tasks with
 * `T#…`. Only Plan and Finalize can change an offset.
 */
const LEDGER: Readonly<Record<StepName, Statements>> = {
  Plan: (places) => [
    // Query finds the batches whose quarantined rows are sent again.
    items(places, ["pipeline"], ["GetItem", "PutItem", "UpdateItem", "ConditionCheckItem", "Query"]),
    // DeleteItem lets a task run again whose staged files are gone.
    items(places, ["tasks"], ["Query", "DeleteItem"]),
  ],
  // PutItem reports progress.
  Write: (places) => [items(places, ["tasks"], ["GetItem", "PutItem", "UpdateItem"])],
  Finalize: (places) => [
    // PutItem adds to the journal when a person adopts or skips; Query reads what the pipeline has
    // read when a person begins a backfill.
    items(places, ["pipeline"], ["GetItem", "PutItem", "UpdateItem", "ConditionCheckItem", "Query"]),
    items(places, ["tasks"], ["Query"]),
  ],
  Vacuum: (places) => [items(places, ["pipeline"], ["GetItem"])],
};

/** Permissions on the objects of the pipeline's store. */
const OBJECTS: Readonly<Record<StepName, Statements>> = {
  Plan: (places) => [
    stored(places, ["PutObject"], [batchFiles("todo")]),
    // GetObject reads the plan and the messages of a batch that is resumed.
    stored(places, ["GetObject", "PutObject", "AbortMultipartUpload"], [batchFiles("partitions")]),
    stored(places, ["GetObject"], [batchFiles("message"), below("quarantine")]),
    stored(places, ["GetObject", "PutObject", "DeleteObject"], [below("source")]),
    // The log is read to compare the newest batch in the table with the ledger; staged files are
    // looked for when a batch is resumed. Without the right to list them, S3 would answer that a
    // file which is gone is forbidden.
    listing(
      places,
      ...[
        STORE_FOLDER.source,
        STORE_FOLDER.batches,
        STORE_FOLDER.quarantine,
        STORE_FOLDER.staging,
        `${STORE_FOLDER.table}/${TABLE_FOLDER.log}`,
        `${STORE_FOLDER.table}/${TABLE_FOLDER.checkpoints}`,
        `${STORE_FOLDER.table}/${TABLE_FOLDER.data}`,
      ].flatMap((folder) => prefixesOf(places).map((prefix) => `${prefix}/${folder}`)),
    ),
    stored(places, ["GetObject"], [belowTable("log")]),
    // A long log is read once, and summarized while it is read.
    stored(places, ["GetObject", "PutObject", "DeleteObject"], [belowTable("checkpoints")]),
  ],
  Write: (places) => [
    stored(places, ["GetObject"], [below("batches"), below("source")]),
    stored(places, ["GetObject", "PutObject", "AbortMultipartUpload"], [below("quarantine")]),
    listing(
      places,
      ...[STORE_FOLDER.batches, STORE_FOLDER.quarantine].flatMap((folder) =>
        prefixesOf(places).map((prefix) => `${prefix}/${folder}`),
      ),
    ),
    stored(places, ["PutObject", "AbortMultipartUpload"], [batchFiles("message"), batchFiles("failure")]),
    stored(
      places,
      ["PutObject", "DeleteObject", "AbortMultipartUpload"],
      [batchFiles("rows"), batchFiles("exchanged"), batchFiles("sorted")],
    ),
    stored(
      places,
      ["GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload"],
      [belowTable("data"), below("staging")],
    ),
  ],
  Finalize: (places) => [
    listing(places, ...prefixesOf(places)),
    stored(places, ["GetObject"], [below("batches")]),
    // The list of a batch's quarantined rows.
    stored(places, ["PutObject"], [below("quarantine")]),
    stored(places, ["DeleteObject"], [batchFiles("rows"), batchFiles("exchanged")]),
    // PutObject keeps the rows of a batch that a person skips.
    stored(places, ["GetObject", "PutObject", "DeleteObject"], [below("source")]),
    stored(
      places,
      ["GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload"],
      [below("table"), below("staging")],
    ),
  ],
  Vacuum: (places) => [
    listing(places, ...prefixesOf(places)),
    uploads(places),
    stored(
      places,
      ["GetObject"],
      [belowTable("log"), below("staging"), below("quarantine"), batchFiles("partitions")],
    ),
    stored(places, ["GetObject", "PutObject"], [belowTable("checkpoints"), below("vacuum")]),
    stored(
      places,
      ["DeleteObject", "AbortMultipartUpload"],
      [
        below("batches"),
        below("quarantine"),
        belowTable("checkpoints"),
        belowTable("data"),
        belowTable("log"),
        below("staging"),
        below("vacuum"),
      ],
    ),
  ],
};

const DATA = `${TABLE_FOLDER.data}/*`;
const LOG = `${TABLE_FOLDER.log}/*`;
const CHECKPOINTS = `${TABLE_FOLDER.checkpoints}/*`;

/** Permissions on an Arrow table outside the pipeline's store. */
const LAKE: Readonly<Record<StepName, (lake: Folder) => readonly PolicyStatement[]>> = {
  Plan: (lake) => [
    // The data files are looked for when a batch is resumed.
    listing(lake, belowLake(lake, "log"), belowLake(lake, "checkpoints"), belowLake(lake, "data")),
    objects(lake, ["GetObject"], [LOG]),
    objects(lake, ["GetObject", "PutObject", "DeleteObject"], [CHECKPOINTS]),
  ],
  Write: (lake) => [
    objects(lake, ["GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload"], [DATA]),
  ],
  Finalize: (lake) => [
    listing(lake, lake.prefix),
    objects(lake, ["GetObject", "PutObject", "AbortMultipartUpload"], [LOG, CHECKPOINTS]),
    objects(lake, ["DeleteObject"], [DATA, CHECKPOINTS]),
  ],
  Vacuum: (lake) => [
    listing(lake, lake.prefix),
    uploads(lake),
    objects(lake, ["GetObject"], [LOG, CHECKPOINTS]),
    objects(lake, ["PutObject"], [CHECKPOINTS]),
    objects(lake, ["DeleteObject", "AbortMultipartUpload"], [DATA, LOG, CHECKPOINTS]),
  ],
};

/** Returns the prefix of a folder of a table outside the pipeline's store. */
function belowLake({ prefix }: Folder, folder: keyof typeof TABLE_FOLDER): string {
  return prefix === "" ? TABLE_FOLDER[folder] : `${prefix}/${TABLE_FOLDER[folder]}`;
}

/**
 * Permissions on the source's files. Plan lists them and reads one for its schema, and so does
 * Finalize when a person adopts; the tasks read all, and ask for the size of a large one.
 */
const SOURCE: Readonly<Record<StepName, (source: Folder) => readonly PolicyStatement[]>> = {
  Plan: (source) => [listing(source, source.prefix), objects(source, ["GetObject"], ["*"])],
  Write: (source) => [listing(source, source.prefix), objects(source, ["GetObject"], ["*"])],
  Finalize: (source) => [listing(source, source.prefix), objects(source, ["GetObject"], ["*"])],
  Vacuum: () => [],
};

/**
 * Permissions on the table of a DynamoDB sink. Plan reads the sink's record of the last batch;
 * Finalize reads it and puts the items. The items of a merge are put by Write.
 */
const SINK_TABLE: Readonly<Record<StepName, (arn: string, merges: boolean) => readonly PolicyStatement[]>> = {
  Plan: (arn) => [new PolicyStatement({ actions: ["dynamodb:GetItem"], resources: [arn] })],
  Write: (arn, merges) =>
    merges ? [new PolicyStatement({ actions: ["dynamodb:PutItem"], resources: [arn] })] : [],
  Finalize: (arn) => [
    new PolicyStatement({ actions: ["dynamodb:GetItem", "dynamodb:PutItem"], resources: [arn] }),
  ],
  Vacuum: () => [],
};

function items(
  { table, pipeline }: Places,
  parts: readonly ("pipeline" | "tasks")[],
  actions: readonly string[],
): PolicyStatement {
  const keys = parts.flatMap((part) =>
    part === "pipeline"
      ? [pipelinePartition(pipeline), pipelinePartition(pipeline + ANY_BACKFILL)]
      : [`${tasksPrefix(pipeline)}*`, `${tasksPrefix(pipeline + ANY_BACKFILL)}*`],
  );
  return new PolicyStatement({
    actions: actions.map((action) => `dynamodb:${action}`),
    resources: [table.tableArn],
    conditions: { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": keys } },
  });
}

/** The prefixes of the pipeline's store, and of those of its backfills. */
function prefixesOf({ prefix }: Folder): readonly string[] {
  return [prefix, prefix + ANY_BACKFILL];
}

/**
 * Returns the permission on objects of the pipeline's store, and of those of its backfills, which
 * have no tables of their own.
 */
function stored(places: Places, actions: readonly string[], keys: readonly string[]): PolicyStatement {
  const own = keys.filter((key) => !key.startsWith(`${STORE_FOLDER.table}/`));
  return new PolicyStatement({
    actions: actions.map((action) => `s3:${action}`),
    resources: [
      ...keys.map((key) => places.bucket.arnForObjects(`${places.prefix}/${key}`)),
      ...own.map((key) => places.bucket.arnForObjects(`${places.prefix}${ANY_BACKFILL}/${key}`)),
    ],
  });
}

/** Returns the pattern for all objects below a folder of a pipeline's store. */
function below(folder: keyof typeof STORE_FOLDER): string {
  return `${STORE_FOLDER[folder]}/*`;
}

/** Returns the pattern for all objects below a folder of the Arrow table in a pipeline's store. */
function belowTable(folder: keyof typeof TABLE_FOLDER): string {
  return `${STORE_FOLDER.table}/${TABLE_FOLDER[folder]}/*`;
}

/**
 * Returns the permission to read the lists of a distributed Map. An execution that an older
 * Millrace planned reads a partitions file.
 */
export function listsOfTasks(places: Places): PolicyStatement {
  return stored(places, ["GetObject"], [batchFiles("partitions"), batchFiles("todo")]);
}

/** Returns the pattern for the files of one kind in all batches. */
function batchFiles(kind: keyof typeof BATCH_FILE): string {
  return `${STORE_FOLDER.batches}/*/${BATCH_FILE[kind]}*`;
}
