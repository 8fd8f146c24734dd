import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import { kindOf } from "../../contract/json.ts";
import { suggest } from "../../contract/suggest.ts";

/** The methods that the engine needs on a reader or writer. */
interface Kind {
  /** Name of the base class, for hints. */
  readonly base: string;
  /** Methods that every class must implement. */
  readonly own: readonly string[];
  /** Methods that the base class provides. */
  readonly inherited: readonly string[];
  readonly code: "READER_INVALID" | "WRITER_INVALID";
}

export const STREAM_READER: Kind = {
  base: "DataSourceStreamReader",
  own: ["initialOffset", "latestOffset", "partitions", "read"],
  inherited: ["getDefaultReadLimit", "reportLatestOffset", "commit", "stop"],
  code: "READER_INVALID",
};
export const SIMPLE_READER: Kind = {
  base: "SimpleDataSourceStreamReader",
  own: ["initialOffset", "read", "readBetweenOffsets"],
  inherited: ["commit"],
  code: "READER_INVALID",
};
export const BATCH_READER: Kind = {
  base: "DataSourceReader",
  own: ["read"],
  inherited: ["partitions", "pushFilters"],
  code: "READER_INVALID",
};
export const STREAM_WRITER: Kind = {
  base: "DataSourceStreamWriter",
  own: ["write", "commit", "abort"],
  inherited: [],
  code: "WRITER_INVALID",
};
export const TABLE: Kind = {
  base: "SupportsWrite",
  own: ["newWriteBuilder"],
  inherited: [],
  code: "WRITER_INVALID",
};
export const AUTO_CDC_TABLE: Kind = { ...TABLE, base: "SupportsAutoCdc", own: ["newAutoCdcWriteBuilder"] };
export const WRITE: Kind = {
  base: "Write",
  own: [],
  inherited: ["toBatch", "toStreaming", "supportedCustomMetrics", "reportDriverMetrics"],
  code: "WRITER_INVALID",
};
export const BATCH_WRITE: Kind = {
  base: "BatchWrite",
  own: ["createBatchWriterFactory", "commit", "abort"],
  inherited: ["useCommitCoordinator", "onDataWriterCommit"],
  code: "WRITER_INVALID",
};
export const STREAMING_WRITE: Kind = {
  base: "StreamingWrite",
  own: ["createStreamingWriterFactory", "commit", "abort"],
  inherited: ["useCommitCoordinator"],
  code: "WRITER_INVALID",
};
export const WRITER_FACTORY: Kind = {
  base: "DataWriterFactory",
  own: ["createWriter"],
  inherited: [],
  code: "WRITER_INVALID",
};
export const DATA_WRITER: Kind = {
  base: "DataWriter",
  own: ["write", "commit", "abort"],
  inherited: ["writeAll", "close", "currentMetricsValues"],
  code: "WRITER_INVALID",
};
export const BATCH_WRITER: Kind = { ...STREAM_WRITER, base: "DataSourceWriter" };

/**
 * Returns `implementation` if it has the methods of its kind. The check runs at run time because
 * Node only strips types. It looks at methods instead of `instanceof`, so classes of another copy
 * of the package pass. Throws `READER_INVALID` or `WRITER_INVALID`.
 */
export function checkImplementation<T>(
  implementation: T,
  method: string,
  kind: Kind,
  where: ErrorLocation,
): T {
  const { own, inherited, base, code } = kind;
  const problem = (found: string, hint: string) =>
    new MillraceError(code, `${method}() gave ${found}`, { where, hint });
  if (typeof implementation === "function") {
    const { name } = implementation;
    throw problem(`${classWord(implementation)} ${name}, not an instance`, `Write return new ${name}().`);
  }
  if (typeof implementation !== "object" || implementation === null)
    throw problem(kindOf(implementation), `Return an object of a class that extends ${base}.`);
  const lacks = (name: string) => typeof Reflect.get(implementation, name) !== "function";
  const missing = own.find(lacks);
  if (missing !== undefined) {
    const others = methodsOf(implementation).filter(
      (name) => !own.includes(name) && !inherited.includes(name),
    );
    throw problem(
      `${kindOf(implementation)}, which has no ${missing}()${suggest(missing, others)}`,
      `Give it ${own.map((name) => `${name}()`).join(", ")}: tsc tells such slips before a run.`,
    );
  }
  const notInherited = inherited.find(lacks);
  if (notInherited === undefined) return implementation;
  throw problem(
    `${kindOf(implementation)} that does not extend ${base}: it has no ${notInherited}()`,
    `Make it of a class: class X extends ${base} { … }.`,
  );
}

function classWord(implementation: object): string {
  return /^class\b/.test(Function.prototype.toString.call(implementation)) ? "the class" : "the function";
}

/** Returns the names of all methods of an object, including inherited ones. */
function methodsOf(implementation: object): string[] {
  const names = new Set<string>();
  for (
    let at: object | null = implementation;
    at !== null && at !== Object.prototype;
    at = Reflect.getPrototypeOf(at)
  ) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(at)))
      if (name !== "constructor" && typeof value === "function") names.add(name);
  }
  return [...names];
}
