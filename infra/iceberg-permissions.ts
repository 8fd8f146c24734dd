import { Stack } from "aws-cdk-lib";
import { PolicyStatement } from "aws-cdk-lib/aws-iam";
import { Bucket } from "aws-cdk-lib/aws-s3";
import type { Construct } from "constructs";
import { ANY_BACKFILL } from "../shared/aws/names.ts";
import { parseS3Url } from "../shared/aws/s3-url.ts";
import { MillraceError } from "../shared/contract/errors.ts";
import type { IcebergDescription } from "../shared/contract/pipeline-description.ts";
import { type Folder, listing, objects, type StepName, uploads } from "./folders.ts";

/** An Iceberg table that a pipeline writes, for its permissions. */
export interface IcebergTable extends IcebergDescription {
  readonly pipeline: string;
  readonly stack: Stack;
  /** The folder of its files, or of all tables of the catalog. Absent in a table bucket. */
  readonly files?: Folder;
}

/**
 * Returns the table of a pipeline's sink. Throws `PROPS_INVALID` if nobody could say which objects
 * the roles may touch, or if the catalog is on a disk.
 */
export function icebergTableOf(
  scope: Construct,
  pipeline: string,
  described: IcebergDescription | undefined,
): IcebergTable | undefined {
  if (described === undefined) return undefined;
  const { catalog, location } = described;
  const type = catalog?.["type"] ?? "sqlite";
  if (type === "sqlite") {
    throw new MillraceError("PROPS_INVALID", "a catalog of Iceberg in a SQLite file has no place on AWS", {
      hint: 'Set the sink\'s option catalog: { type: "s3tables", tableBucketArn: "…" } or { type: "glue", warehouse: "s3://…" }.',
    });
  }
  const table = { ...described, pipeline, stack: Stack.of(scope) };
  if (type === "s3tables") return table;
  const url = location ?? (catalog?.["warehouse"] as string | undefined) ?? "";
  const place = parseS3Url(url);
  const isVended = type === "rest" && catalog?.["accessDelegation"] !== "none";
  if (place === undefined && isVended) return table;
  if (place === undefined) {
    throw new MillraceError(
      "PROPS_INVALID",
      `the files of the Iceberg table ${described.table} have no location, so the roles get no rights to them`,
      { hint: "Set the sink's option location, or warehouse of its catalog, to s3://bucket/folder." },
    );
  }
  const bucket = Bucket.fromBucketName(scope, "IcebergFiles", place.bucket);
  return { ...table, files: { bucket, prefix: place.prefix } };
}

/** Returns the least permissions of a step on an Iceberg table, its catalog and its files. */
export function icebergStatements(step: StepName, table: IcebergTable): readonly PolicyStatement[] {
  const type = table.catalog?.["type"];
  return [
    ...(type === "s3tables" ? tableBucketStatements(step, table) : []),
    ...(type === "glue" ? glueStatements(step, table) : []),
    ...(table.files === undefined ? [] : FILES[step](table.files, filePatterns(table))),
  ];
}

/** Returns the permissions of a reader of the table, without those on a Glue catalog. */
export function readStatements(table: IcebergTable): readonly PolicyStatement[] {
  const { files } = table;
  if (files !== undefined) return [listing(files, files.prefix), objects(files, ["GetObject"], ["*"])];
  if (table.catalog?.["type"] !== "s3tables") return [];
  return tableBucketStatements("Vacuum", table);
}

interface FilePatterns {
  readonly metadata: string;
  /** The files of the pipeline, and of its backfills. */
  readonly data: readonly string[];
}

/** The folders of the table below `files`. A catalog's layout is its own, so `*` stands for it. */
function filePatterns({ location, pipeline }: IcebergTable): FilePatterns {
  const below = location === undefined ? "*/" : "";
  return {
    metadata: `${below}metadata/*`,
    data: [pipeline, pipeline + ANY_BACKFILL].map((name) => `${below}data/${name}/*`),
  };
}

/**
 * Permissions on the files. Plan reads the metadata, creates the table and looks for staged files;
 * tasks write data files; Finalize writes manifests, and removes data files of an aborted attempt
 * and metadata that the table's properties make obsolete.
 */
const FILES: Readonly<
  Record<StepName, (files: Folder, patterns: FilePatterns) => readonly PolicyStatement[]>
> = {
  Plan: (files, { metadata }) => [
    listing(files, files.prefix),
    objects(files, ["GetObject", "PutObject", "AbortMultipartUpload"], [metadata]),
  ],
  Write: (files, { metadata, data }) => [
    // A plan that is too large for the ledger lies beside the metadata.
    listing(files, files.prefix),
    objects(files, ["GetObject"], [metadata]),
    objects(files, ["PutObject", "DeleteObject", "AbortMultipartUpload"], data),
  ],
  Finalize: (files, { metadata, data }) => [
    listing(files, files.prefix),
    objects(files, ["GetObject", "PutObject", "DeleteObject", "AbortMultipartUpload"], [metadata]),
    objects(files, ["DeleteObject"], data),
  ],
  Vacuum: (files, { metadata, data }) => [
    listing(files, files.prefix),
    uploads(files),
    objects(files, ["GetObject"], [metadata]),
    objects(files, ["DeleteObject", "AbortMultipartUpload"], [metadata, ...data]),
  ],
};

function splitName({ table }: IcebergTable): { readonly namespace: string; readonly name: string } {
  const dot = table.lastIndexOf(".");
  return { namespace: table.slice(0, dot), name: table.slice(dot + 1) };
}

/** Permissions on a table bucket of S3 Tables, which removes unreferenced files itself. */
function tableBucketStatements(step: StepName, table: IcebergTable): readonly PolicyStatement[] {
  const { catalog } = table;
  const bucket = String(catalog?.["tableBucketArn"]);
  const { namespace, name } = splitName(table);
  const ofBucket = (...actions: readonly string[]) =>
    new PolicyStatement({ actions: actions.map((action) => `s3tables:${action}`), resources: [bucket] });
  const ofTable = (...actions: readonly string[]) =>
    new PolicyStatement({
      actions: actions.map((action) => `s3tables:${action}`),
      // The ARN of a table has an id that is known only when the table exists.
      resources: [`${bucket}/table/*`],
      conditions: { StringEquals: { "s3tables:namespace": namespace, "s3tables:tableName": name } },
    });
  const load = ["GetTable", "GetTableMetadataLocation", "GetTableData"];
  switch (step) {
    case "Plan":
      return [
        ofBucket("GetTableBucket", "CreateNamespace"),
        new PolicyStatement({
          actions: ["s3tables:GetNamespace", "s3tables:CreateTable"],
          resources: [bucket],
          conditions: { StringEquals: { "s3tables:namespace": namespace } },
        }),
        ofTable(...load, "PutTableData", "UpdateTableMetadataLocation"),
      ];
    case "Write":
      return [ofBucket("GetTableBucket"), ofTable(...load, "PutTableData")];
    case "Finalize":
      return [ofBucket("GetTableBucket"), ofTable(...load, "PutTableData", "UpdateTableMetadataLocation")];
    case "Vacuum":
      return [ofBucket("GetTableBucket"), ofTable(...load)];
  }
}

/** Permissions on a table of the Glue Data Catalog. */
function glueStatements(step: StepName, table: IcebergTable): readonly PolicyStatement[] {
  if (step === "Write") return [];
  const { stack, catalog } = table;
  const { namespace, name } = splitName(table);
  const region = (catalog?.["region"] as string | undefined) ?? stack.region;
  const [account = stack.account, ...federated] = String(catalog?.["catalogId"] ?? stack.account).split(":");
  const inCatalog = federated.length === 0 ? "" : `${federated.join(":")}/`;
  const arn = (resource: string) => stack.formatArn({ service: "glue", region, account, resource: resource });
  const resources = [
    arn("catalog"),
    ...(inCatalog === "" ? [] : [arn(`catalog/${inCatalog.slice(0, -1)}`)]),
    arn(`database/${inCatalog}${namespace}`),
    arn(`table/${inCatalog}${namespace}/${name}`),
  ];
  const actions = {
    Plan: ["GetCatalog", "GetDatabase", "CreateDatabase", "GetTable", "CreateTable"],
    Finalize: ["GetCatalog", "GetDatabase", "GetTable", "UpdateTable"],
    Vacuum: ["GetCatalog", "GetDatabase", "GetTable"],
  }[step];
  return [
    new PolicyStatement({ actions: actions.map((action) => `glue:${action}`), resources }),
    // Lake Formation, if it governs the table, vends access to the files. It has no resources.
    ...(inCatalog === ""
      ? []
      : [new PolicyStatement({ actions: ["lakeformation:GetDataAccess"], resources: ["*"] })]),
  ];
}
