import {
  ConditionalCheckFailedException,
  DynamoDBClient,
  PutItemCommand,
  type PutItemCommandInput,
} from "@aws-sdk/client-dynamodb";
import type { RecordBatch, Schema } from "apache-arrow";
import { requestLimits } from "../../aws/request-limits.ts";
import { type DynamoDbItem, dynamoDbItem } from "../../aws/transaction-item.ts";
import type { BatchContext, Runtime, TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { batchDigits, padded, partitionDigits } from "../../contract/keys.ts";
import type { RetryPolicy } from "../../contract/retry.ts";
import {
  DataSourceStreamArrowWriter,
  type SupportsLedgerTransaction,
  type SupportsTaskAbort,
  type SupportsVacuum,
  type VacuumContext,
  type VacuumResult,
} from "../../contract/stream-writer.ts";
import { atOnce } from "../kit/at-once.ts";
import { AwsClient } from "../kit/aws-client.ts";
import { dropAborted, dropStaged, readStaged, type StagedRows, stageRows } from "../kit/staging.ts";
import { vacuumStaged } from "../kit/vacuum.ts";
import { type Item, ItemMaker } from "./items.ts";
import type { ParsedOptions } from "./options.ts";

/**
 * DynamoDB allows 4 MB for all items of a transaction in its own encoding. The staged Arrow bytes
 * are about the same size, so half of that leaves a margin.
 */
const TRANSACTION_BYTES = 2_000_000;
/** A new table, or one without burst capacity, throttles for longer than the SDK retries. */
const RETRIES: RetryPolicy = { attempts: 8, firstDelay: 100, longestDelay: 5000 };

/**
 * Stages the rows of each task. The commit puts them as items; few items go into the ledger's
 * transaction.
 */
export class DynamoDbWriter
  extends DataSourceStreamArrowWriter<StagedRows>
  implements SupportsTaskAbort<StagedRows>, SupportsLedgerTransaction<StagedRows>, SupportsVacuum
{
  readonly #schema: Schema;
  readonly #options: ParsedOptions;
  readonly #runtime: Runtime;
  readonly #items: ItemMaker;
  readonly #client: AwsClient<DynamoDBClient, undefined>;

  /** Creates a writer for rows of this schema. Error: `OPTIONS_INVALID`. */
  constructor(schema: Schema, options: ParsedOptions, runtime: Runtime) {
    super();
    this.#schema = schema;
    this.#options = options;
    this.#runtime = runtime;
    this.#items = new ItemMaker(schema, options);
    const sdk = async () => undefined;
    const make = () => new DynamoDBClient({ requestHandler: requestLimits() });
    const toError = (call: string, thrown: Error, retryable: boolean) =>
      callFailed(options.table, call, thrown, retryable);
    this.#client = new AwsClient({ runtime, retries: RETRIES, sdk, make, toError });
  }

  override async write(batches: AsyncIterable<RecordBatch>, task: TaskContext): Promise<StagedRows> {
    return await stageRows(this.#schema, this.#checked(batches), task, this.#runtime.newId());
  }

  /**
   * Converts each row once while it is staged, so that an invalid row fails its task and not the
   * commit.
   */
  async *#checked(batches: AsyncIterable<RecordBatch>): AsyncGenerator<RecordBatch> {
    let row = 1;
    for await (const batch of batches) {
      for (const _item of this.#items.itemsOf(batch, row)) row++;
      yield batch;
    }
  }

  async abortTask(message: StagedRows | null, task: TaskContext): Promise<void> {
    await dropStaged([message], task);
  }

  async transactionItems(
    messages: readonly (StagedRows | null)[],
    batch: BatchContext,
    most: number,
  ): Promise<readonly DynamoDbItem[] | undefined> {
    const rows = messages.reduce((sum, message) => sum + (message?.rows ?? 0), 0);
    const bytes = messages.reduce((sum, message) => sum + (message?.bytes ?? 0), 0);
    if (rows > most || bytes > TRANSACTION_BYTES) return undefined;
    // A transaction accepts each key only once. If several rows have the same key, the last one is
    // used.
    const items = new Map<string, Item>();
    for await (const item of this.#versioned(messages, batch)) items.set(this.#items.keyOf(item), item);
    return [...items.values()].map((item) => dynamoDbItem(this.#options.table, item));
  }

  /**
   * Puts all items, each on the condition that the table has no newer version of it. The result is
   * therefore the same if puts are repeated, late or in another order.
   */
  override async commit(
    messages: readonly (StagedRows | null)[],
    _batchId: number,
    batch: BatchContext,
  ): Promise<void> {
    const items = this.#versioned(messages, batch);
    await atOnce(this.#options.maxConcurrency, items, (item) => this.#put(item));
    // The staged rows are kept. Without them, a repeated commit could not tell that an earlier one
    // has succeeded. `vacuum` removes them.
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
  async *#versioned(messages: readonly (StagedRows | null)[], batch: BatchContext): AsyncGenerator<Item> {
    const row = new Map<number, number>();
    for await (const { partition, batch: rows } of readStaged(messages, batch)) {
      let number = row.get(partition) ?? 1;
      for (const item of this.#items.itemsOf(rows, number)) {
        const version = [batchDigits(batch.batchId), partitionDigits(partition), padded(number++, 12)].join(
          "-",
        );
        yield {
          ...item,
          [this.#options.versionAttribute]: {
            M: { incarnation: { S: batch.incarnation }, version: { S: version } },
          },
        };
      }
      row.set(partition, number);
    }
  }

  async #put(item: Item): Promise<void> {
    const { table, versionAttribute } = this.#options;
    const { incarnation, version } = item[versionAttribute]?.M ?? {};
    const put: PutItemCommandInput = {
      TableName: table,
      Item: item,
      ConditionExpression: "attribute_not_exists(#v) OR #v.#i <> :i OR #v.#n <= :n",
      ExpressionAttributeNames: { "#v": versionAttribute, "#i": "incarnation", "#n": "version" },
      ExpressionAttributeValues: { ":i": incarnation ?? { S: "" }, ":n": version ?? { S: "" } },
    };
    await this.#client.call("putting an item", async (client) => {
      try {
        await client.send(new PutItemCommand(put));
      } catch (error) {
        // The table already has a newer version of this item.
        if (!(error instanceof ConditionalCheckFailedException)) throw error;
      }
    });
  }
}

/** Creates the error without the service's message, which may quote an item. */
function callFailed(table: string, call: string, thrown: Error, retryable: boolean): MillraceError {
  return new MillraceError("DYNAMODB_FAILED", `${call} into ${table} failed: ${thrown.name}`, {
    where: { path: table },
    retryable,
    hint: "Check that the table is there, that its keys are those of the sink's options, and that the role may put items; its own message is below.",
    cause: thrown,
  });
}
