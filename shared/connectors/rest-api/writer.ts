import { type BatchIdentity, UNKNOWN_PLAN } from "../../contract/batch-identity.ts";
import type { BatchContext, TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { canonicalJson, type JsonValue } from "../../contract/json.ts";
import { batchDigits } from "../../contract/keys.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { STORE_FOLDER } from "../../contract/store-layout.ts";
import type { NamedRow } from "../../contract/stream-reader.ts";
import { DataSourceStreamWriter, type SupportsTargetName } from "../../contract/stream-writer.ts";
import { atOnce } from "../kit/at-once.ts";
import { wrapAt } from "../kit/json-path.ts";
import { sha256 } from "../kit/sha256.ts";
import type { RestClient } from "./client.ts";
import type { SinkOptions } from "./options.ts";

/** The commit message: how much a task has sent. */
export type Sent = { readonly requests: number; readonly rows: number };

/**
 * How the rows of a batch are divided into requests with keys. It must not change while the batch
 * is open.
 */
type RequestPlan = Pick<SinkOptions, "rowsPerRequest" | "idempotencyKey">;

/**
 * The rows of one request. `first` is the position of its first row in the partition, counted from
 * 0.
 */
interface Chunk {
  readonly first: number;
  readonly rows: readonly NamedRow[];
}

/**
 * Sends rows while they are written. An API cannot stage rows: those it accepted remain, even if
 * the batch is aborted. But a batch is replayed until it is committed, with the same rows in the
 * same requests under the same keys. So an API that supports idempotency keys stores each row once.
 */
export class RestWriter extends DataSourceStreamWriter<Sent> implements SupportsTargetName {
  readonly #options: SinkOptions;
  readonly #client: RestClient;

  constructor(options: SinkOptions, client: RestClient) {
    super();
    this.#options = options;
    this.#client = client;
  }

  override async write(rows: AsyncIterable<NamedRow>, task: TaskContext): Promise<Sent> {
    const plan = await this.#requestPlanOf(task);
    const chunks = inChunks(rows, plan.rowsPerRequest);
    const sent = { requests: 0, rows: 0 };
    await atOnce(this.#options.maxConcurrency, chunks, async (chunk) => {
      await this.#send(chunk, plan, task);
      sent.requests++;
      sent.rows += chunk.rows.length;
    });
    return sent;
  }

  /**
   * All rows have already been sent. This deletes the `RequestPlan` of the previous batch, which is
   * not needed any more; a failure is harmless.
   */
  override async commit(
    _messages: readonly (Sent | null)[],
    _batchId: number,
    { follows, store }: BatchContext,
  ): Promise<void> {
    if (follows !== undefined) await store.delete([requestPlanKey(follows)]).catch(() => undefined);
  }

  /**
   * Does nothing, because sent rows cannot be taken back. The batch will be replayed, and the API
   * recognizes repeated requests by their keys.
   */
  override abort(): void {}

  /** Returns the URL without its query, user and password, which may be secrets. */
  targetName(): string {
    return targetOf(this.#options);
  }

  /**
   * Returns the `RequestPlan` of the batch. The first task takes it from the options and stores it;
   * every other task reads the stored one. Without idempotency keys it is that of the options.
   */
  async #requestPlanOf(task: TaskContext): Promise<RequestPlan> {
    const { rowsPerRequest, idempotencyKey, idempotencyHeader, body } = this.#options;
    const own: RequestPlan = { rowsPerRequest, idempotencyKey };
    if (idempotencyHeader === null) return own;
    const plan = await putOrRead(task.store, requestPlanKey(task), own);
    if (body !== "object" || plan.rowsPerRequest === 1) return plan;
    throw new MillraceError(
      "OPTIONS_INVALID",
      `RestApi: body is "object", but batch ${task.batchId} was begun with ${plan.rowsPerRequest} rows a request`,
      { hint: `Set body back until the batch is committed. ${keptHint(plan, task)}` },
    );
  }

  async #send(chunk: Chunk, plan: RequestPlan, task: TaskContext): Promise<void> {
    const { method, body, idempotencyHeader, alreadyDone, rowsPerRequest, idempotencyKey } = this.#options;
    const delivery = {
      method,
      ...encode(chunk.rows, body),
      rows: { first: chunk.first + 1, last: chunk.first + chunk.rows.length },
      alreadyDone,
      ...(idempotencyHeader === null
        ? {}
        : { idempotency: { header: idempotencyHeader, key: keyOf(chunk, plan, task) } }),
    };
    try {
      await this.#client.send(delivery, task.signal);
    } catch (error) {
      const isKept = plan.rowsPerRequest !== rowsPerRequest || plan.idempotencyKey !== idempotencyKey;
      if (!isKept || !MillraceError.is(error)) throw error;
      throw error.with({ hint: [error.hint, keptHint(plan, task)].filter(Boolean).join(" ") });
    }
  }
}

/** Returns the URL without its query, user and password, which may be secrets. */
export function targetOf({ url }: Pick<SinkOptions, "url">): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

async function* inChunks(rows: AsyncIterable<NamedRow>, size: number): AsyncGenerator<Chunk> {
  let chunk: NamedRow[] = [];
  let first = 0;
  for await (const row of rows) {
    chunk.push(row);
    if (chunk.length < size) continue;
    yield { first, rows: chunk };
    first += size;
    chunk = [];
  }
  if (chunk.length > 0) yield { first, rows: chunk };
}

function encode(
  rows: readonly NamedRow[],
  form: SinkOptions["body"],
): { readonly body: string; readonly contentType: string } {
  if (form === "ndjson")
    return { body: `${rows.map(toJson).join("\n")}\n`, contentType: "application/x-ndjson" };
  const contentType = "application/json";
  if (form === "array") return { body: toJson(rows), contentType };
  if (form === "object") return { body: toJson(rows[0]), contentType };
  return { body: toJson(wrapAt(rows, form.rows)), contentType };
}

/** Converts NaN and infinity to text, as Spark does, because `JSON.stringify` would write null. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === "number" && !Number.isFinite(item) ? String(item) : item,
  );
}

function keyOf({ first, rows }: Chunk, plan: RequestPlan, task: TaskContext): string {
  const { pipeline, incarnation, batchId, planId, partitionId } = task;
  const position = [pipeline, incarnation, batchId, partitionId, first, rows.length];
  // A ledger that was restored from a backup uses a batch id again, for other rows.
  const withPlan = planId === UNKNOWN_PLAN ? position : [...position, planId];
  const parts: JsonValue = plan.idempotencyKey === "content" ? [pipeline, toJson(rows)] : withPlan;
  return sha256(canonicalJson(parts)).toString("hex");
}

/** Returns the key of a batch's `RequestPlan`. A batch of the older version keeps its key. */
function requestPlanKey({ incarnation, batchId, planId }: BatchIdentity): string {
  const plan = planId === UNKNOWN_PLAN ? "" : `-${encodeURIComponent(planId)}`;
  return `${STORE_FOLDER.staging}/rest-api/${incarnation}/${batchDigits(batchId)}${plan}.json`;
}

/** Returns the value stored under the key. If there is none, stores `own` and returns it. */
async function putOrRead(store: ObjectStore, key: string, own: RequestPlan): Promise<RequestPlan> {
  const bytes = new TextEncoder().encode(canonicalJson(own));
  // Puts before reading: on AWS, reading a missing key without list permission is an error.
  if (await store.put(key, bytes)) return own;
  const stored = Buffer.from((await store.get(key)) ?? bytes).toString();
  try {
    return JSON.parse(stored) as RequestPlan;
  } catch (error) {
    throw new MillraceError("STAGED_FILE_MISSING", `the file ${key} is damaged: it is not JSON`, {
      where: { path: `${store.location}/${key}` },
      hint: "It says how the rows of the batch are divided into requests. Restore it; or delete it, if the options are those that the batch was begun with: the API then recognizes what it has accepted.",
      cause: error,
    });
  }
}

function keptHint({ rowsPerRequest, idempotencyKey }: RequestPlan, task: TaskContext): string {
  return (
    `The batch keeps the rowsPerRequest (${rowsPerRequest}) and the idempotencyKey ("${idempotencyKey}") that it was begun with, so that no row is sent under two keys. ` +
    `To cut it anew, delete ${task.store.location}/${requestPlanKey(task)}: what the API has accepted of the batch is then sent a second time.`
  );
}
