import {
  type AttributeValue,
  ConditionalCheckFailedException,
  type DynamoDBClient,
  PutItemCommand,
  type PutItemCommandInput,
} from "@aws-sdk/client-dynamodb";
import type { RecordBatch, Schema } from "apache-arrow";
import { type DynamoDbItem, dynamoDbItem } from "../../aws/transaction-item.ts";
import type { RefusedRowSink, RefusedRows } from "../../contract/bad-rows.ts";
import { type CommittedBatch, isSameBatch } from "../../contract/batch-identity.ts";
import { isCommitted } from "../../contract/committed-batch.ts";
import type { BatchContext, Runtime, TaskContext } from "../../contract/context.ts";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import { batchDigits, padded, partitionDigits } from "../../contract/keys.ts";
import { optional } from "../../contract/optional.ts";
import {
  type DamagedFile,
  DataSourceStreamArrowWriter,
  type NewestBatchContext,
  type SupportsLedgerTransaction,
  type SupportsNewestBatch,
  type SupportsRefusedRows,
  type SupportsStagedFiles,
  type SupportsTargetName,
  type SupportsTaskAbort,
  type SupportsVacuum,
  type VacuumContext,
  type VacuumResult,
} from "../../contract/stream-writer.ts";
import { atOnce } from "../kit/at-once.ts";
import type { AwsClient } from "../kit/aws-client.ts";
import { FAIL_AT_FIRST, valuesAt, withoutRefused } from "../kit/refused-rows.ts";
import {
  checkStaged,
  dropAborted,
  dropStaged,
  filesOf,
  findDamagedFiles,
  readStaged,
  type StagedRows,
  stageRows,
  stagingOf,
} from "../kit/staging.ts";
import { vacuumStaged } from "../kit/vacuum.ts";
import { clientOf, tableBusy } from "./client.ts";
import { type Item, ItemMaker } from "./items.ts";
import {
  type Claim,
  claimOf,
  committedBatchOf,
  isClaimedBy,
  type Marker,
  MarkerItem,
  newestOf,
} from "./marker.ts";
import type { ParsedOptions } from "./options.ts";
import { refusalOf } from "./refusal.ts";

/**
 * DynamoDB allows 4 MB for all items of a transaction in its own encoding. The staged Arrow bytes
 * are about the same size, so half of that leaves a margin.
 */
const TRANSACTION_BYTES = 2_000_000;
/** How often the marker is read again because another process has changed it in between. */
const MAX_CONFLICTS = 20;

/** An item of a batch, and the row of which it was made. */
interface VersionedItem {
  readonly item: Item;
  readonly rows: RecordBatch;
  readonly index: number;
  readonly where: ErrorLocation;
}

/**
 * Stages the rows of each task. The commit puts them as items; few items go into the ledger's
 * transaction.
 */
export class DynamoDbWriter
  extends DataSourceStreamArrowWriter<StagedRows>
  implements
    SupportsTaskAbort<StagedRows>,
    SupportsStagedFiles<StagedRows>,
    SupportsLedgerTransaction<StagedRows>,
    SupportsNewestBatch,
    SupportsRefusedRows,
    SupportsTargetName,
    SupportsVacuum
{
  readonly #schema: Schema;
  readonly #options: ParsedOptions;
  readonly #runtime: Runtime;
  readonly #items: ItemMaker;
  readonly #client: AwsClient<DynamoDBClient, undefined>;
  readonly #marker: MarkerItem;

  /** Creates a writer for rows of this schema. Error: `OPTIONS_INVALID`. */
  constructor(schema: Schema, options: ParsedOptions, runtime: Runtime) {
    super();
    this.#schema = schema;
    this.#options = options;
    this.#runtime = runtime;
    this.#items = new ItemMaker(schema, options);
    this.#client = clientOf(options.table, runtime);
    this.#marker = new MarkerItem(options, this.#items, this.#client);
  }

  override async write(batches: AsyncIterable<RecordBatch>, task: TaskContext): Promise<StagedRows> {
    const { pipeline } = task;
    const rows = withoutRefused(batches, task, (batch, before) =>
      this.#items.refusedOf(batch, pipeline, before),
    );
    return await stageRows(this.#schema, rows, task, this.#runtime.newId());
  }

  async refusedRows(_batchId: number, batch: BatchContext): Promise<RefusedRows | undefined> {
    const read = await this.#marker.read(batch.pipeline);
    return isCommitted(batch, newestOf(read, batch.follows)) ? read?.refused : undefined;
  }

  async abortTask(message: StagedRows | null, task: TaskContext): Promise<void> {
    await dropStaged([message], task);
  }

  async findDamaged(
    messages: readonly (StagedRows | null)[],
    batch: BatchContext,
  ): Promise<readonly DamagedFile[]> {
    return await findDamagedFiles(stagingOf(batch), messages);
  }

  async transactionItems(
    messages: readonly (StagedRows | null)[],
    batch: BatchContext,
    most: number,
  ): Promise<readonly DynamoDbItem[] | undefined> {
    // A transaction takes all items or none, and does not say well which one is refused.
    if (batch.newRefusedRows !== undefined) return undefined;
    const files = messages.flatMap(filesOf);
    const rows = files.reduce((sum, file) => sum + file.rows, 0);
    const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
    // The marker is an item, too.
    if (rows >= most || bytes > TRANSACTION_BYTES) return undefined;
    const { pipeline } = batch;
    const read = await this.#marker.read(pipeline);
    if (isCommitted(batch, newestOf(read, batch.follows))) return [];
    checkNotReplaced(batch, read?.next);
    const sequence = (read?.sequence ?? 0) + 1;
    // A transaction accepts each key only once. If several rows have the same key, the last one is
    // used.
    const items = new Map<string, Item>();
    for await (const { item } of this.#versioned(messages, batch, sequence))
      items.set(this.#items.keyOf(item), item);
    return [
      this.#marker.toItem(pipeline, read, { sequence, last: committedBatchOf(batch) }),
      ...[...items.values()].map((item) => dynamoDbItem(this.#options.table, item)),
    ];
  }

  /**
   * Claims the batch in the marker, puts all items, and records the batch in the marker. Each put
   * is conditional on the table having no item of a later claim and no later row, so the result is
   * the same if puts are repeated, late or in another order.
   */
  override async commit(
    messages: readonly (StagedRows | null)[],
    _batchId: number,
    batch: BatchContext,
  ): Promise<void> {
    let claimed = await this.#claim(batch);
    // Each item can be seen once it is put, so all files are looked at before the first.
    if (claimed !== undefined) await checkStaged(messages, batch);
    while (claimed !== undefined) {
      const refused = batch.newRefusedRows?.() ?? FAIL_AT_FIRST;
      const newer = await this.#putAll(messages, batch, claimed.sequence, refused);
      if (newer === undefined && (await this.#land(batch, claimed, await refused.finish()))) return;
      claimed = await this.#claim(batch, newer ?? claimed.sequence);
    }
    // The staged rows are kept, because a commit of another process may still read them. `vacuum`
    // removes them.
  }

  async newestBatch({ pipeline, follows }: NewestBatchContext): Promise<CommittedBatch | undefined> {
    return newestOf(await this.#marker.read(pipeline), follows);
  }

  /** Returns the name or ARN of the table. */
  targetName(): string {
    return this.#options.table;
  }

  /**
   * Writes into the marker that the items of this attempt are being put, and returns the marker.
   * Returns `undefined` if the batch is committed. An incomplete batch of another plan is replaced:
   * it never counted, and this batch or later ones bring its rows.
   *
   * `found` is the highest sequence that a put of this attempt has used or met. If another claim
   * has replaced this one since, that is an error. If the marker is lower than `found`, it was
   * deleted in the past, and its sequence must be raised above that of the items.
   */
  async #claim(batch: BatchContext, found?: number): Promise<Marker | undefined> {
    const { pipeline, follows } = batch;
    for (let conflicts = 0; conflicts < MAX_CONFLICTS; conflicts++) {
      const read = await this.#marker.read(pipeline);
      if (isCommitted(batch, newestOf(read, follows))) return undefined;
      const isOwn = isClaimedBy(read, batch);
      if (!isOwn) checkNotReplaced(batch, read?.next, found !== undefined);
      if (isOwn && read !== undefined && read.sequence >= (found ?? 0)) return read;
      const sequence = Math.max(read?.sequence ?? 0, found ?? 0) + 1;
      const marker = { ...read, sequence, next: claimOf(batch) };
      if (await this.#marker.write(pipeline, read, marker)) return marker;
    }
    throw tableBusy(this.#options.table, pipeline, MAX_CONFLICTS);
  }

  /**
   * Records that all items of the batch are in the table. Returns false if the marker has changed
   * since the claim.
   */
  async #land(batch: BatchContext, claimed: Marker, refused: RefusedRows | undefined): Promise<boolean> {
    const last = committedBatchOf(batch);
    const marker = { sequence: claimed.sequence, last, ...optional("refused", refused) };
    return await this.#marker.write(batch.pipeline, claimed, marker);
  }

  /**
   * Puts all items; those that DynamoDB refuses go to `refused`. Returns the sequence of an item
   * that was found in the table, if it is of a later claim.
   */
  async #putAll(
    messages: readonly (StagedRows | null)[],
    batch: BatchContext,
    sequence: number,
    refused: RefusedRowSink,
  ): Promise<number | undefined> {
    let newer: number | undefined;
    const items = this.#versioned(messages, batch, sequence);
    await atOnce(this.#options.maxConcurrency, items, async ({ item, rows, index, where }) => {
      if (newer !== undefined) return;
      try {
        const found = await this.#put(item);
        if (found > sequence) newer = found;
      } catch (error) {
        const refusal = refusalOf(error);
        if (refusal === undefined) throw error;
        refused.add(refusal.with({ where }), { row: valuesAt(rows, index) });
      }
    });
    return newer;
  }

  override async abort(
    messages: readonly (StagedRows | null)[],
    _batchId: number,
    batch: BatchContext,
  ): Promise<void> {
    await dropAborted(messages, batch);
  }

  async vacuum(context: VacuumContext): Promise<VacuumResult> {
    return await vacuumStaged(context);
  }

  /**
   * Yields the items of the batch with a version attribute. Versions sort in the order of the rows:
   * by batch, then partition, then row.
   */
  async *#versioned(
    messages: readonly (StagedRows | null)[],
    batch: BatchContext,
    sequence: number,
  ): AsyncGenerator<VersionedItem> {
    const last = new Map<number, number>();
    for await (const { partition, batch: rows } of readStaged(messages, batch)) {
      const before = last.get(partition) ?? 0;
      let index = 0;
      for (const values of this.#items.itemsOf(rows, before + 1)) {
        const row = before + index + 1;
        const version = [batchDigits(batch.batchId), partitionDigits(partition), padded(row, 12)].join("-");
        const item = {
          ...values,
          [this.#options.versionAttribute]: {
            M: {
              pipeline: { S: batch.pipeline },
              sequence: { N: String(sequence) },
              incarnation: { S: batch.incarnation },
              version: { S: version },
            },
          },
        };
        yield { item, rows, index: index++, where: { partition, row } };
      }
      last.set(partition, before + index);
    }
  }

  /**
   * Puts an item, unless the table has an item of a later claim of the pipeline, or of a later row.
   * Returns the sequence of the item that is then in the table.
   */
  async #put(item: Item): Promise<number> {
    const { table, versionAttribute } = this.#options;
    const { pipeline = NONE, sequence = NONE, version = NONE } = item[versionAttribute]?.M ?? {};
    const isOlder = "#v.#sequence < :sequence OR (#v.#sequence = :sequence AND #v.#version <= :version)";
    const put: PutItemCommandInput = {
      TableName: table,
      Item: item,
      // The version attribute of older versions has no pipeline.
      ConditionExpression: `attribute_not_exists(#v.#pipeline) OR #v.#pipeline <> :pipeline OR ${isOlder}`,
      ExpressionAttributeNames: {
        "#v": versionAttribute,
        "#pipeline": "pipeline",
        "#sequence": "sequence",
        "#version": "version",
      },
      ExpressionAttributeValues: { ":pipeline": pipeline, ":sequence": sequence, ":version": version },
      ReturnValuesOnConditionCheckFailure: "ALL_OLD",
    };
    return await this.#client.call("putting an item", async (client) => {
      try {
        await client.send(new PutItemCommand(put));
        return Number(sequence.N);
      } catch (error) {
        if (!(error instanceof ConditionalCheckFailedException)) throw error;
        return Number(error.Item?.[versionAttribute]?.M?.["sequence"]?.N);
      }
    });
  }
}

const NONE: AttributeValue = { S: "" };

/**
 * Throws an error if another claim has taken the place of this attempt: a later attempt of the same
 * batch, or, if this attempt `hasBegun` to put items, any claim.
 */
function checkNotReplaced(batch: BatchContext, next: Claim | undefined, hasBegun = false): void {
  const isLaterAttempt = next !== undefined && isSameBatch(next, batch) && next.attempt > batch.attempt;
  if (hasBegun || isLaterAttempt) throw replaced(batch, next);
}

function replaced({ pipeline, batchId, attempt }: BatchContext, next: Claim | undefined): MillraceError {
  const by =
    next === undefined
      ? "the record of the last batch has changed"
      : `batch ${next.batchId} (attempt ${next.attempt}, incarnation ${next.incarnation.slice(0, 8)}) has begun`;
  return new MillraceError(
    "LEDGER_BEHIND_SINK",
    `another run writes pipeline "${pipeline}" to the same table: ${by} since this commit began`,
    {
      where: { pipeline, batchId, attempt },
      hint: `This batch is not committed, and the source was told nothing. Run again: \`millrace run\` then goes on, or says what the table has. If two homes run this pipeline, give one of them another name, or go on after the newest batch in the sink: \`millrace adopt ${pipeline}\`.`,
    },
  );
}
