import type { Schema } from "apache-arrow";
import { DataSource } from "../../contract/data-source.ts";
import { MillraceError } from "../../contract/errors.ts";
import { loadingFirst } from "../../contract/optional-package.ts";
import type { OptionsSchema } from "../../contract/options/parse.ts";
import type { DataSourceStreamReader } from "../../contract/stream-reader.ts";
import { requiredSchema } from "../kit/required-schema.ts";
import { Batches } from "./batches.ts";
import { RAW_SCHEMA } from "./messages.ts";
import { OPTIONS, type ParsedOptions, type SqsOptions } from "./options.ts";
import { loadSdk, Queue } from "./queue.ts";
import { SqsReader } from "./stream-reader.ts";

export type { SqsOptions } from "./options.ts";

/**
 * An SQS queue as a streaming source. Each message is read once, and deleted from the queue after
 * its batch is committed. Guide: docs/sqs.md. Error: `OPTIONS_INVALID`.
 */
export class Sqs extends DataSource<ParsedOptions> {
  /** The name for `.format("sqs")` once the class is registered. */
  static override readonly name: string = "sqs";
  /** The schema that validates `SqsOptions`. */
  static readonly optionsSchema: OptionsSchema<SqsOptions, ParsedOptions> = loadingFirst(
    OPTIONS as OptionsSchema<SqsOptions, ParsedOptions>,
    loadSdk,
  );

  /** Returns the option `schema`, or the columns of a raw message. Error: `SCHEMA_REQUIRED`. */
  override schema(): string {
    const { format, schema } = this.options;
    if (format === "raw") return RAW_SCHEMA;
    return requiredSchema(schema, "Sqs", "id bigint NOT NULL, time timestamp");
  }

  /** Throws `NOT_SUPPORTED`: a reader of a queue takes its messages, so there is no sample. */
  override sample(): never {
    throw new MillraceError("NOT_SUPPORTED", "a queue gives no sample: reading takes its messages", {
      hint: "Nothing was received. Write the schema by hand, or read the raw messages into a table first.",
    });
  }

  /** Returns a stream reader of the queue. Messages are received while a batch is planned. */
  override streamReader(schema: Schema): DataSourceStreamReader<object, unknown> {
    const { options, runtime } = this;
    return new SqsReader({
      schema,
      options,
      runtime,
      queue: new Queue(options, runtime),
      batches: new Batches(runtime.store),
    });
  }
}
