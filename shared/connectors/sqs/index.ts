import type { Schema } from "apache-arrow";
import { DataSource } from "../../contract/data-source.ts";
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
 * A queue of SQS as a streaming source: each message once, deleted from the queue when its batch
 * was committed. Guide: docs/sqs.md. Error: `OPTIONS_INVALID`.
 */
export class Sqs extends DataSource<ParsedOptions> {
  /** For `.format("sqs")`, once it is registered. */
  static override readonly name: string = "sqs";
  /** See `SqsOptions`. */
  static readonly optionsSchema: OptionsSchema<SqsOptions, ParsedOptions> = loadingFirst(
    OPTIONS as OptionsSchema<SqsOptions, ParsedOptions>,
    loadSdk,
  );

  /** The option `schema`, or the columns of a raw message. Error: `SCHEMA_REQUIRED`. */
  override schema(): string {
    const { format, schema } = this.options;
    if (format === "raw") return RAW_SCHEMA;
    return requiredSchema(schema, "Sqs", "id bigint NOT NULL, time timestamp");
  }

  /** A reader of the queue: the one that plans receives. */
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
