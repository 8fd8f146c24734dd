import { type Field, Schema } from "apache-arrow";
import type { TaskContext } from "../../contract/context.ts";
import { MillraceError } from "../../contract/errors.ts";
import { canonicalJson, type JsonValue } from "../../contract/json.ts";
import type { NamedRow } from "../../contract/stream-reader.ts";
import type { SupportsTargetName } from "../../contract/stream-writer.ts";
import type { AutoCdcInfo, SupportsAutoCdc } from "../../contract/write/auto-cdc.ts";
import {
  DeltaStreamingWrite,
  type DeltaStreamingWriterFactory,
  DeltaWrite,
  type DeltaWriteBuilder,
  DeltaWriter,
} from "../../contract/write/row-level.ts";
import type { TableCapability } from "../../contract/write/table.ts";
import { InFlight } from "../kit/in-flight.ts";
import { sha256 } from "../kit/sha256.ts";
import type { ChangeRequest } from "./change-options.ts";
import type { RestClient } from "./client.ts";
import type { SinkOptions } from "./options.ts";
import type { Delivery } from "./request.ts";
import { Templates } from "./templates.ts";
import { targetOf, toJson } from "./writer.ts";

/** Statuses of a delete that say that there is nothing to delete. */
const NOTHING_THERE = [404, 410];

/** The sequence of a change, in metadata as base64 and in requests in hexadecimal digits. */
const SEQUENCE = "__sequence";

type Kind = "upsert" | "delete";

/**
 * Sends the newest change of each key of a batch, one request for each. An API cannot be asked
 * which change it has last, so it must compare the sequences itself.
 */
export class RestAutoCdc implements SupportsAutoCdc, SupportsTargetName {
  readonly name: string;
  readonly capabilities: ReadonlySet<TableCapability> = new Set<TableCapability>([
    "STREAMING_WRITE",
    "ACCEPT_ANY_SCHEMA",
  ]);
  readonly #options: SinkOptions;
  readonly #client: RestClient;

  constructor(options: SinkOptions, client: RestClient) {
    this.name = targetOf(options);
    this.#options = options;
    this.#client = client;
  }

  targetName(): string {
    return this.name;
  }

  /** Errors: `OPTIONS_INVALID`, `WRITE_NOT_SUPPORTED`. */
  newAutoCdcWriteBuilder(info: AutoCdcInfo): DeltaWriteBuilder {
    const { changes } = this.#options;
    if (info.storedAsScdType === 2) {
      throw new MillraceError("WRITE_NOT_SUPPORTED", `RestApi cannot keep changes as SCD type 2`, {
        hint: "Remove storedAsScdType, or write to postgres.",
      });
    }
    if (changes === undefined) {
      throw new MillraceError("OPTIONS_INVALID", "RestApi cannot merge without the option changes", {
        hint: 'Say how changes are sent: changes: { upsert: { url: "https://…/{id}" }, delete: { url: "https://…/{id}" } }.',
      });
    }
    const parts: Parts = {
      options: this.#options,
      client: this.#client,
      upsert: messageOf("upsert", changes.upsert, info, this.#options),
      delete: changes.delete && messageOf("delete", changes.delete, info, this.#options),
    };
    return { build: () => new RestAutoCdcWrite(parts, this.name) };
  }
}

/** Makes the request of a change from its columns. */
type Message = (values: NamedRow, row: NamedRow | undefined) => Delivery;

interface Parts {
  readonly options: SinkOptions;
  readonly client: RestClient;
  readonly upsert: Message;
  readonly delete: Message | undefined;
}

/** Checks the settings of a kind of change. Error: `OPTIONS_INVALID`. */
function messageOf(
  kind: Kind,
  request: ChangeRequest,
  info: AutoCdcInfo,
  { url: base, alreadyDone }: SinkOptions,
): Message {
  const { method = kind === "upsert" ? "PUT" : "DELETE", url = base, headers = {} } = request;
  const body = request.body === undefined && kind === "upsert" ? "row" : (request.body ?? null);
  const templates = new Templates(`changes.${kind}`, columnsOf(kind, info));
  const shownUrl = checkedUrl(kind, url, base);
  const toUrl = templates.url(url, base);
  const toHeaders = Object.entries(headers).map(
    ([name, text]) => [name, templates.text(text, `headers.${name}`)] as const,
  );
  const toBody = body === "row" || body === null ? undefined : templates.json(body);
  const done = kind === "delete" ? [...NOTHING_THERE, ...alreadyDone] : alreadyDone;
  return (values, row) => {
    const content = body === "row" ? row : toBody?.(values);
    return {
      method,
      url: toUrl(values),
      shownUrl,
      headers: Object.fromEntries(toHeaders.map(([name, toText]) => [name, toText(values)])),
      ...(content === undefined ? {} : { body: toJson(content) }),
      contentType: "application/json",
      alreadyDone: done,
    };
  };
}

/** Returns the columns that placeholders may name: a delete has only keys and sequences. */
function columnsOf(kind: Kind, { schema, rowIdSchema, metadataSchema }: AutoCdcInfo): Schema {
  const all: readonly Field[] = [
    ...(kind === "upsert" ? schema.fields : (rowIdSchema?.fields ?? [])),
    ...(metadataSchema?.fields ?? []),
  ];
  return new Schema([...new Map(all.map((field) => [field.name, field])).values()]);
}

const NO_URL = { origin: "", pathname: "" };

/** Returns the URL without query for messages. Error: `OPTIONS_INVALID`. */
function checkedUrl(kind: Kind, template: string, base: string): string {
  const { origin, pathname } = URL.canParse(template, base) ? new URL(template, base) : NO_URL;
  if (origin === new URL(base).origin) return origin + pathname.replaceAll("%7B", "{").replaceAll("%7D", "}");
  throw new MillraceError("OPTIONS_INVALID", `RestApi: changes.${kind}.url is not at the origin of url`, {
    hint: "Set url to the origin of the API: its credentials are sent nowhere else.",
  });
}

class RestAutoCdcWrite extends DeltaWrite {
  readonly #parts: Parts;
  readonly #name: string;

  constructor(parts: Parts, name: string) {
    super();
    this.#parts = parts;
    this.#name = name;
  }

  override get description(): string {
    return `API ${this.#name}`;
  }

  override toStreaming(): DeltaStreamingWrite<unknown> {
    return new RestAutoCdcStreamingWrite(this.#parts) as DeltaStreamingWrite<unknown>;
  }
}

class RestAutoCdcStreamingWrite extends DeltaStreamingWrite<null> {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    super();
    this.#parts = parts;
  }

  override createStreamingWriterFactory(): DeltaStreamingWriterFactory<null> {
    const createWriter = (_partition: number, _taskId: number, _epoch: number, task: TaskContext) =>
      new RestChangesWriter(this.#parts, task);
    return { createWriter };
  }

  /** All changes have been sent. */
  override commit(): void {}

  /** Sent changes cannot be taken back. The batch is replayed, and sends the same changes again. */
  override abort(): void {}
}

/** Sends the changes of one task attempt, several at once: no two of them have one key. */
class RestChangesWriter extends DeltaWriter<null> {
  readonly #parts: Parts;
  readonly #task: TaskContext;
  readonly #requests: InFlight;

  constructor(parts: Parts, task: TaskContext) {
    super();
    this.#parts = parts;
    this.#task = task;
    this.#requests = new InFlight(parts.options.maxConcurrency);
  }

  override async update(metadata: NamedRow | null, id: NamedRow, row: NamedRow): Promise<void> {
    await this.#send("upsert", this.#parts.upsert, { metadata, id, row });
  }

  override async delete(metadata: NamedRow | null, id: NamedRow): Promise<void> {
    const message = this.#parts.delete;
    if (message === undefined) {
      throw new MillraceError(
        "OPTIONS_INVALID",
        "a change deletes a row, and RestApi has no changes.delete",
        {
          hint: 'Say how deletes are sent: changes: { …, delete: { url: "https://…/{id}" } }.',
        },
      );
    }
    await this.#send("delete", message, { metadata, id });
  }

  override insert(): never {
    throw new TypeError("a stream of changes has only updates and deletes");
  }

  override async commit(): Promise<null> {
    await this.#requests.done();
    return null;
  }

  override async abort(): Promise<void> {
    await this.#requests.settled();
  }

  async #send(
    kind: Kind,
    message: Message,
    { metadata, id, row }: { metadata: NamedRow | null; id: NamedRow; row?: NamedRow },
  ): Promise<void> {
    const { client, options } = this.#parts;
    const { signal, pipeline } = this.#task;
    const sequence = Buffer.from(String(metadata?.[SEQUENCE]), "base64").toString("hex");
    const delivery = message({ ...metadata, ...id, ...row, [SEQUENCE]: sequence }, row);
    const { idempotencyHeader: header } = options;
    // The key is that of the change, in whichever batch it is sent.
    const key = sha256(canonicalJson([pipeline, kind, id as JsonValue, sequence])).toString("hex");
    const idempotency = header === null ? {} : { idempotency: { header, key } };
    await this.#requests.add(() => client.send({ ...delivery, ...idempotency }, signal));
  }
}
