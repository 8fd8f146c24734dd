import pipeline from "millrace:pipeline";
import { randomUUID } from "node:crypto";
import { setTimeout } from "node:timers/promises";
import { Logger } from "@aws-lambda-powertools/logger";
import { Metrics } from "@aws-lambda-powertools/metrics";
import type { Tracer } from "@aws-lambda-powertools/tracer";
import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { S3Client } from "@aws-sdk/client-s3";
import { clientAccess } from "../shared/aws/client-access.ts";
import { storePrefix } from "../shared/aws/names.ts";
import { requestLimits, transferLimits } from "../shared/aws/request-limits.ts";
import { parseS3Url } from "../shared/aws/s3-url.ts";
import { pipelineOfBackfill } from "../shared/contract/backfill.ts";
import { asBackfill } from "../shared/contract/backfill-pipeline.ts";
import type { Runtime } from "../shared/contract/context.ts";
import { escapeControls } from "../shared/contract/controls.ts";
import { MillraceError } from "../shared/contract/errors.ts";
import type { ObjectStore, StoreAccess } from "../shared/contract/object-store.ts";
import { Pipeline } from "../shared/contract/pipeline.ts";
import { rangeOfBackfill } from "../shared/engine/backfill/claim.ts";
import type { Ports } from "../shared/engine/ports/runtime.ts";
import { DynamoDbLedger } from "../shared/platform/aws/dynamodb-ledger.ts";
import { S3Store } from "../shared/platform/aws/s3-store.ts";
import { Secrets } from "./secrets.ts";
import { readSettings } from "./settings.ts";
import { tracerOf } from "./tracing.ts";

/** The objects that a Lambda execution environment creates once and uses for every call. */

export const settings = readSettings(process.env);
export const logger: Logger = new Logger({
  serviceName: settings.pipeline,
  // JSON leaves C1 controls and marks that change the direction as they are.
  jsonReplacerFn: (_key, value: unknown) => (typeof value === "string" ? escapeUnlessJsonDoes(value) : value),
});

function escapeUnlessJsonDoes(text: string): string {
  return text.replace(/[\u0020-\u{10ffff}]+/gu, escapeControls);
}

// The namespace comes from POWERTOOLS_METRICS_NAMESPACE. An option here would override it.
export const metrics: Metrics = new Metrics({ serviceName: settings.pipeline });
export const tracer: Tracer | undefined = await tracerOf(settings.pipeline, process.env);

const secrets = new Secrets(settings.secrets, () => runtime.monotonic());
let env: Runtime["env"] = process.env;

const runtime: Runtime = {
  now: Date.now,
  monotonic: () => Math.floor(performance.now()),
  newId: randomUUID,
  random: Math.random,
  get env() {
    return env;
  },
  async sleep(milliseconds, signal) {
    await setTimeout(milliseconds, undefined, signal === undefined ? undefined : { signal });
  },
};
const edge = { runtime };

export const dynamodb: DynamoDBClient = traced(new DynamoDBClient({ requestHandler: requestLimits() }));
export const s3: S3Client = s3Client();

function s3Client(access?: StoreAccess): S3Client {
  return traced(
    new S3Client({
      // With a custom endpoint such as LocalStack's, bucket names cannot be part of the host name.
      forcePathStyle: process.env["AWS_ENDPOINT_URL"] !== undefined,
      // The bucket of a table may be in another region.
      followRegionRedirects: true,
      requestHandler: transferLimits(),
      ...clientAccess(access),
    }),
  );
}

function traced<Client>(client: Client): Client {
  return tracer === undefined ? client : tracer.captureAWSv3Client(client);
}

const ports: Ports = {
  ledger: new DynamoDbLedger({ client: dynamodb, tableName: settings.table, ...edge }),
  store: storeAt(settings.prefix),
  openStore,
  ...edge,
};

function storeAt(prefix: string): S3Store {
  return new S3Store({ client: s3, bucket: settings.bucket, prefix, ...edge });
}

/**
 * Opens a prefix of a bucket, `s3://bucket/prefix`. `access` replaces the function's own role.
 * Error: `LOCATION_NOT_SUPPORTED`.
 */
function openStore(location: string, access?: StoreAccess): ObjectStore {
  const place = parseS3Url(location);
  if (place !== undefined)
    return new S3Store({ client: access === undefined ? s3 : s3Client(access), ...place, ...edge });
  throw new MillraceError("LOCATION_NOT_SUPPORTED", `${location} cannot be opened on AWS`, {
    where: { path: location },
    hint: 'Write "s3://bucket/prefix", or leave the path out: the table then lies in the pipeline\'s own bucket.',
  });
}

/** Returns the prefix of the store of the pipeline, or of a backfill of it. */
export function prefixOf(name: string): string {
  return storePrefix(settings.prefix, name);
}

interface LoadOptions {
  /** False for a task, which may not read the ledger's record of a backfill's range. */
  readonly needsRange: boolean;
}

/**
 * Returns the bundled pipeline, or the backfill of it with this name, and its ports, with current
 * values of the secrets. Errors: `PIPELINE_MISMATCH`, `SECRET_UNAVAILABLE`.
 */
export async function load(
  name: string = settings.pipeline,
  options: LoadOptions = { needsRange: true },
): Promise<{ readonly pipeline: Pipeline; readonly ports: Ports }> {
  if (!Pipeline.is(pipeline) || pipeline.name !== settings.pipeline) {
    const found = Pipeline.is(pipeline) ? `"${pipeline.name}"` : "no pipeline";
    throw new MillraceError("PIPELINE_MISMATCH", `the bundle has ${found}, not "${settings.pipeline}"`, {
      hint: "The name decides what the roles may touch: deploy again after you changed it.",
    });
  }
  env = { ...process.env, ...(await secrets.read()) };
  if (name === settings.pipeline) return { pipeline, ports };
  return { pipeline: await backfillOf(pipeline, name, options), ports: portsOfBackfill(name) };
}

/** Returns the backfill of this name. */
async function backfillOf(live: Pipeline, name: string, { needsRange }: LoadOptions): Promise<Pipeline> {
  if (pipelineOfBackfill(name) !== live.name) {
    throw new MillraceError("PIPELINE_MISMATCH", `"${name}" is no backfill of "${settings.pipeline}"`, {
      hint: "Name the stack that deploys its pipeline.",
    });
  }
  return asBackfill(live, name, needsRange ? await rangeOfBackfill(ports.ledger, name) : undefined);
}

/** A backfill has a store of its own beside that of its pipeline, which has the table of both. */
function portsOfBackfill(name: string): Ports {
  return { ...ports, store: storeAt(prefixOf(name)), tableStore: ports.store };
}
