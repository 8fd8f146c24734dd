import type { BadContent, BadRowContent, BadRowPolicy, BadRowSink } from "../../contract/bad-rows.ts";
import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import type { ObjectStore } from "../../contract/object-store.ts";
import { optional } from "../../contract/optional.ts";
import type { TaskBadRows } from "../ports/tasks.ts";
import { encodeContent } from "./content.ts";

/** Rows are written to the next file of the task from this size on. */
const FILE_BYTES = 8 * 1024 * 1024;

/** What a `BadRowCollector` needs. */
export interface BadRowOptions {
  readonly store: ObjectStore;
  /** Where the keys of the files begin. It must be another one for each attempt of the task. */
  readonly prefix: string;
  readonly where: ErrorLocation;
  /** Number of bad rows that the batch had before. Default 0. */
  readonly rowsBefore?: number;
}

/** Returns the keys of the files of kept rows, in the order in which they were found. */
export function badRowsKeys({ prefix, files = 0 }: Partial<TaskBadRows> = {}): readonly string[] {
  return prefix === undefined ? [] : Array.from({ length: files }, (_, file) => badRowsKey(prefix, file));
}

function badRowsKey(prefix: string, file: number): string {
  return `${prefix}-${file}.jsonl`;
}

/** Counts the bad rows of a task or a commit, and stages those that are kept. */
export class BadRowCollector implements BadRowSink {
  readonly #policy: BadRowPolicy;
  readonly #options: BadRowOptions;
  #rows = 0;
  #lines: string[] = [];
  #bytes = 0;
  /** The files in the order of their numbers. A failed one is told when the task ends. */
  readonly #files: Promise<MillraceError | undefined>[] = [];

  constructor(policy: BadRowPolicy, options: BadRowOptions) {
    this.#policy = policy;
    this.#options = options;
  }

  /** Throws `BAD_ROWS_TOO_MANY`. */
  add(error: MillraceError, content: BadContent): void {
    this.#rows++;
    const { policy, max } = this.#policy;
    const { where, rowsBefore = 0 } = this.#options;
    if (policy === "fail") throw error;
    if (max !== undefined && rowsBefore + this.#rows > max) throw tooManyBadRows(max, error.with({ where }));
    if (policy === "drop") return;
    const known = "row" in content ? rowOf(content) : { raw: encodeContent(content.raw) };
    const line = JSON.stringify({ reason: error.with({ where }).toRecord(), ...known });
    this.#lines.push(line);
    this.#bytes += line.length;
    if (this.#bytes >= FILE_BYTES) this.#writeFile();
  }

  /** Writes what is left, and returns what is recorded of them. `undefined` without bad rows. */
  async finish(): Promise<TaskBadRows | undefined> {
    if (this.#rows === 0) return undefined;
    if (this.#policy.policy === "drop") return { rows: this.#rows };
    if (this.#lines.length > 0) this.#writeFile();
    for (const failure of await Promise.all(this.#files)) if (failure !== undefined) throw failure;
    return { rows: this.#rows, prefix: this.#options.prefix, files: this.#files.length };
  }

  #writeFile(): void {
    const { store, prefix, where } = this.#options;
    const key = badRowsKey(prefix, this.#files.length);
    const body = Buffer.from(`${this.#lines.join("\n")}\n`);
    this.#lines = [];
    this.#bytes = 0;
    const written = store.put(key, body).then(
      () => undefined,
      (cause: unknown) =>
        new MillraceError("STORE_FAILED", `the quarantined rows could not be written to ${key}`, {
          where,
          hint: "It is tried again. See the cause.",
          retryable: true,
          cause,
        }),
    );
    this.#files.push(written);
  }
}

function rowOf({ row, stepsBefore, afterSteps }: BadRowContent): object {
  return {
    row: encodeContent(row),
    ...optional("stepsBefore", stepsBefore),
    ...optional("afterSteps", afterSteps),
  };
}

/** The error of a batch with more bad rows than `max`. `last` is the error of one of them. */
export function tooManyBadRows(max: number, last?: MillraceError): MillraceError {
  const example = last === undefined ? "" : `, such as ${last.code}: ${last.message}`;
  const rows = max === 1 ? "1 row" : `${max} rows`;
  return new MillraceError(
    "BAD_ROWS_TOO_MANY",
    `more than ${rows} of the batch cannot be written${example}`,
    {
      ...(last === undefined ? {} : { where: last.where, found: last.found }),
      hint: "Nothing of the batch is committed. Correct the source or the schema, or allow more: .onBadRow() has the option `max`.",
    },
  );
}
