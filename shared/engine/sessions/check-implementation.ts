import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import { kindOf } from "../../contract/json.ts";
import { suggest } from "../../contract/suggest.ts";

/** What the engine calls of an object that a data source makes. */
interface Kind {
  /** The class to extend. */
  readonly base: string;
  /** Methods that each class has to write. */
  readonly own: readonly string[];
  /** Methods that come with the class to extend. */
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
export const BATCH_WRITER: Kind = { ...STREAM_WRITER, base: "DataSourceWriter" };

/**
 * Returns `implementation` if it has the methods of its kind: types are stripped, so nobody else
 * may have looked. It may be of another copy of the package. Errors: `READER_INVALID`,
 * `WRITER_INVALID`.
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

/** Names of its methods, its own and those of its classes. */
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
