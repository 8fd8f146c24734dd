/**
 * One entry of the allow-list of imports. The list divides the code into rooms: folders and single
 * files. `npm run check` refuses an import that is not listed, and a file outside of all rooms.
 * `npm run borders:update` makes the table in docs/architecture.md from the list.
 */
export interface Room {
  /** The description of the room in docs/architecture.md, one line. */
  readonly holds: string;
  /** The other rooms whose files this room may import. */
  readonly imports: readonly string[] | "all";
  /** The rooms from which this room may import types only. */
  readonly types?: readonly string[];
  /** Packages of npm, modules of Node, and `COMPUTED`. A `*` at the end matches any text. */
  readonly packages: readonly string[];
  /** True for a room that is not shipped. It may also import development dependencies. */
  readonly isTool?: true;
}

/** A name that is known only when the code runs, as in `import(path)`. */
export const COMPUTED = "computed names";

/** The user's pipeline, which esbuild puts into a bundle. */
export const PIPELINE = "millrace:pipeline";

const FOR_CONNECTORS = ["shared/contract", "shared/arrow", "shared/aws", "shared/connectors/kit"];

const connector = (holds: string, ...packages: string[]): Room => ({
  holds,
  imports: FOR_CONNECTORS,
  packages: ["apache-arrow", "zod", ...packages],
});

const tool = (holds: string): Room => ({ holds, imports: "all", packages: ["*"], isTool: true });

/**
 * The rooms by name. A name is a folder, including everything below it, or one file. A file belongs
 * to the room with the longest matching name.
 */
export const ROOMS: Readonly<Record<string, Room>> = {
  "shared/contract": {
    holds: "what users implement and call, and its checks",
    imports: [],
    packages: ["@standard-schema/spec", "apache-arrow", "leven"],
  },
  "shared/arrow": {
    holds: "rows ⇄ record batches, Arrow IPC files",
    imports: ["shared/contract", "shared/arrow/exchange/crc.ts"],
    packages: ["apache-arrow", "leven"],
  },
  "shared/arrow/exchange/crc.ts": {
    holds: "CRC-32, which comes with Node",
    imports: [],
    packages: ["node:zlib"],
  },
  "shared/aws": {
    holds: "what platform, connectors, handlers, construct and command must know of AWS alike",
    imports: ["shared/contract"],
    types: ["shared/engine/ports"],
    packages: [],
  },
  "shared/engine/ports": {
    holds: "what the engine asks of a ledger, of run events and of the runtime",
    imports: ["shared/contract", "shared/arrow"],
    packages: [],
  },
  "shared/engine": {
    holds:
      "`plan`, `write`, `finalize`, `vacuum`: functions of (sessions, ports, request), nothing of Node or of a cloud",
    imports: ["shared/contract", "shared/arrow", "shared/engine/ports"],
    packages: ["apache-arrow"],
  },
  "shared/engine/run": {
    holds: "the run loop: when the next batch is due, and when a run ends",
    imports: ["shared/contract", "shared/arrow", "shared/engine/ports", "shared/engine"],
    packages: ["apache-arrow"],
  },
  "shared/platform/embedded": {
    holds: "the SQLite ledger, the store in a directory",
    imports: ["shared/contract", "shared/aws", "shared/engine/ports"],
    packages: ["node:*"],
  },
  "shared/platform/aws": {
    holds: "the DynamoDB ledger, the S3 store, executions",
    imports: ["shared/contract", "shared/aws", "shared/engine/ports"],
    packages: ["@aws-sdk/*"],
  },
  "shared/platform/memory": {
    holds: "the store in memory",
    imports: ["shared/contract", "shared/aws", "shared/engine/ports"],
    packages: [],
  },
  "shared/connectors/kit": {
    holds: "what several connectors need: staging, clients, secrets, digests, JSON, Parquet, column names",
    imports: ["shared/contract", "shared/arrow", "shared/aws", "shared/connectors/kit/zlib.ts"],
    packages: [
      "@aws-sdk/*",
      "@smithy/node-http-handler",
      "apache-arrow",
      "hysnappy",
      "node:crypto",
      "node:worker_threads",
      "pg",
      "zod",
    ],
  },
  "shared/connectors/kit/zlib.ts": {
    holds: "decompression in one call, which comes with Node",
    imports: [],
    packages: ["node:zlib"],
  },
  "shared/connectors/arrow-table": connector("a table of Arrow files and a log"),
  "shared/connectors/dynamodb": connector("items of a DynamoDB table", "@aws-sdk/client-dynamodb"),
  "shared/connectors/events": connector("a series of events that each run makes again"),
  "shared/connectors/files": {
    holds: "CSV, JSON lines, text, Parquet and Arrow files",
    imports: [...FOR_CONNECTORS, "shared/connectors/files/node.ts", "shared/connectors/kit/zlib.ts"],
    packages: ["apache-arrow", "zod", "csv-parse"],
  },
  "shared/connectors/files/node.ts": {
    holds: "streams, gzip and globs, which come with Node",
    imports: [],
    packages: ["node:path/posix", "node:stream", "node:zlib"],
  },
  "shared/connectors/iceberg": {
    holds: "tables of Apache Iceberg: catalogs, data files, snapshots",
    imports: [
      ...FOR_CONNECTORS,
      "shared/connectors/iceberg/catalog/sql/database.ts",
      "shared/connectors/iceberg/catalog/sql/sqlite.ts",
      "shared/connectors/iceberg/files/parquet-wasm.ts",
    ],
    packages: [
      ...["apache-arrow", "zod", "@smithy/signature-v4", "hysnappy"],
      ...["node:buffer", "node:crypto", "node:util", "node:zlib"],
    ],
  },
  "shared/connectors/iceberg/catalog/sql/sqlite.ts": {
    holds: "the file of an embedded Iceberg catalog",
    imports: [...FOR_CONNECTORS, "shared/connectors/iceberg/catalog/sql/database.ts"],
    packages: ["node:fs/promises", "node:sqlite"],
  },
  "shared/connectors/iceberg/catalog/sql/database.ts": {
    holds: "what an Iceberg catalog asks of a SQL database",
    imports: FOR_CONNECTORS,
    packages: [],
  },
  "shared/connectors/iceberg/files/parquet-wasm.ts": {
    holds: "the Parquet writer, whose code is a file of its own",
    imports: [],
    packages: ["node:fs", "node:module", "node:path", "parquet-wasm"],
  },
  "shared/connectors/kinesis": connector(
    "records of a Kinesis stream",
    ...["@aws-sdk/client-kinesis", "@smithy/node-http-handler"],
  ),
  "shared/connectors/memory": connector("tables in memory"),
  "shared/connectors/postgres": connector("tables of PostgreSQL", "postgres-array"),
  "shared/connectors/rate": connector("Spark's `rate` and `rate-micro-batch`"),
  "shared/connectors/rest-api": connector("pages of a JSON API"),
  "shared/connectors/sqs": connector("messages of an SQS queue", "@aws-sdk/client-sqs"),
  "shared/testing": {
    holds: "`millrace/testing`: a pipeline in memory, and the kit that tries sources and sinks",
    imports: [
      ...["shared/contract", "shared/arrow", "shared/engine/ports", "shared/engine", "shared/engine/run"],
      ...["shared/platform/embedded", "shared/platform/memory"],
    ],
    packages: ["apache-arrow", "node:crypto", "node:timers/promises"],
  },
  "shared/index.ts": { holds: "`millrace`", imports: ["shared/contract"], packages: [] },
  local: {
    holds: "the embedded runner: home, locks, worker threads",
    imports: [
      ...["shared/contract", "shared/arrow", "shared/aws"],
      ...["shared/engine/ports", "shared/engine", "shared/engine/run"],
      // A run on a laptop may read and write S3 locations (docs/adr/0003).
      ...["shared/platform/embedded", "shared/platform/aws"],
    ],
    // The code computes two names: that of the user's pipeline, and that of the worker in this
    // folder.
    packages: ["@aws-sdk/client-s3", "node:*", "piscina", COMPUTED],
  },
  functions: {
    holds: "the Lambda handlers, a few lines each over the engine; the pipeline brings its connectors",
    imports: [
      ...["shared/contract", "shared/arrow", "shared/aws"],
      ...["shared/engine/ports", "shared/engine", "shared/engine/run", "shared/platform/aws"],
    ],
    packages: ["@aws-lambda-powertools/*", "@aws-sdk/*", "aws-lambda", PIPELINE, "node:*"],
  },
  infra: {
    holds: "the CDK construct; it knows the handlers by the names of their files",
    imports: ["shared/contract", "shared/aws"],
    packages: ["aws-cdk-lib", "constructs", "esbuild", "node:*", COMPUTED],
  },
  "infra/app.ts": tool("the app of the example"),
  cli: {
    holds: "the `millrace` command",
    imports: [
      ...[...FOR_CONNECTORS, "shared/connectors/arrow-table", "shared/connectors/iceberg"],
      ...["shared/testing"],
      ...["shared/engine/ports", "shared/engine", "shared/engine/run"],
      ...["shared/platform/embedded", "shared/platform/aws", "shared/platform/memory"],
      ...["local", "functions", "infra"],
    ],
    packages: ["@aws-sdk/*", "apache-arrow", "commander", "node:*", "zod", COMPUTED],
  },
  bin: {
    holds: "starts the built command, or says which Node it needs",
    imports: ["dist"],
    packages: ["node:fs", "node:path"],
  },
  dist: { holds: "what `npm run build` makes", imports: [], packages: [] },
  test: tool("the tests, which mirror the folders"),
  scripts: tool("builds and checks"),
  bench: tool("measurements"),
  examples: tool("the example"),
  ".": tool("configurations of tools: the files beside package.json"),
};

const NAMES = Object.keys(ROOMS).sort((a, b) => b.length - a.length);

/** Returns the name of a file's room, or `undefined` if no room contains the file. */
export function roomOf(path: string): string | undefined {
  if (!path.includes("/")) return ".";
  return NAMES.find((name) => path === name || path.startsWith(`${name}/`));
}

/** Returns which exports of the room `to` files of the room `from` may import. */
export function passage(from: string, to: string): "values" | "types" | "none" {
  const room = ROOMS[from];
  if (from === to || room?.imports === "all" || room?.imports.includes(to)) return "values";
  return room?.types?.includes(to) ? "types" : "none";
}

export function mayUse(from: string, name: string): boolean {
  return (ROOMS[from]?.packages ?? []).some((allowed) =>
    allowed.endsWith("*") ? name.startsWith(allowed.slice(0, -1)) : name === allowed,
  );
}
