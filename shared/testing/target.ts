import type { Schema } from "apache-arrow";
import type { DataSourceReader } from "../contract/batch-reader.ts";
import { type Writer, writesBatches } from "../contract/batch-writer.ts";
import type { DataSource, DataSourceClass } from "../contract/data-source.ts";
import { toSchema } from "../contract/ddl/to-schema.ts";
import { MillraceError } from "../contract/errors.ts";
import { kindOf } from "../contract/json.ts";
import { parseOptions } from "../contract/options/parse.ts";
import { Pipeline } from "../contract/pipeline.ts";
import type { SchemaLike } from "../contract/schema-like.ts";
import type {
  Awaitable,
  DataSourceStreamReader,
  SimpleDataSourceStreamReader,
} from "../contract/stream-reader.ts";
import type { Surroundings } from "./surroundings.ts";
import { tableFactoriesOf } from "./table-factory.ts";
import type { WriterFactory } from "./writer-factory.ts";

/** A stream reader, a simple stream reader or a batch reader. */
export type AnyReader =
  | DataSourceStreamReader<object, unknown>
  | SimpleDataSourceStreamReader<object>
  | DataSourceReader<unknown>;

/** A data source class, a pipeline, a reader, or a function or class that creates a reader. */
export type SourceTarget = DataSourceClass<never> | Pipeline | AnyReader | (() => Awaitable<AnyReader>);

/** A data source class, a pipeline, a writer, or a function or class that creates a writer. */
export type SinkTarget =
  | DataSourceClass<never>
  | Pipeline
  | Writer<unknown>
  | (() => Awaitable<Writer<unknown>>);

interface FactoryOf<Kind extends string, Reader> {
  readonly kind: Kind;
  readonly schema: Schema | undefined;
  make(): Promise<Reader>;
}

/** Creates readers of one kind. `schema` is set if it is known. */
export type ReaderFactory =
  | FactoryOf<"stream", DataSourceStreamReader<object, unknown>>
  | FactoryOf<"simple", SimpleDataSourceStreamReader<object>>
  | FactoryOf<"batch", DataSourceReader<unknown>>;

interface Given {
  readonly options?: Readonly<Record<string, unknown>>;
  readonly schema?: SchemaLike;
}

/**
 * Returns a factory for each kind of reader that the target supports. Error: `CHECK_INVALID` if the
 * target is not a source.
 */
export async function readerFactoriesOf(
  target: SourceTarget,
  given: Given,
  surroundings: Surroundings,
): Promise<readonly ReaderFactory[]> {
  const schema = given.schema === undefined ? undefined : toSchema(given.schema);
  const definition = definitionOf(target, given, (pipeline) => pipeline.source);
  if (definition !== undefined) {
    const { dataSource } = definition;
    const parsed = await parsedOptions(target, definition, "checkSource");
    const newSource = (): DataSource<object> =>
      new dataSource(parsed as never, surroundings.dataSourceRuntime());
    const own = definition.schema ?? given.schema ?? (await newSource().schema());
    const known = toSchema(own);
    const factories: ReaderFactory[] = [];
    for (const [kind, method] of Object.entries(METHODS) as [ReaderFactory["kind"], "reader"][]) {
      const make = async () => (await newSource()[method](known)) as AnyReader;
      if (await isSupported(make)) factories.push(factoryOf(kind, known, make));
    }
    if (factories.length > 0) return factories;
    throw invalid("checkSource", "a data source without any reader");
  }
  if (typeof target === "function") {
    const make = async () =>
      await (isClass(target as () => unknown)
        ? new (target as unknown as new () => AnyReader)()
        : (target as () => Awaitable<AnyReader>)());
    return [factoryOf(readerKind(await make()), schema, make)];
  }
  return [factoryOf(readerKind(target), schema, async () => target as AnyReader)];
}

/** `kind` must match the readers that `make` creates; the cast hides this from the compiler. */
function factoryOf(
  kind: ReaderFactory["kind"],
  schema: Schema | undefined,
  make: () => Promise<AnyReader>,
): ReaderFactory {
  return { kind, schema, make } as ReaderFactory;
}

const METHODS = { stream: "streamReader", simple: "simpleStreamReader", batch: "reader" } as const;

/**
 * Returns a factory for each kind of writer that the target supports. Error: `CHECK_INVALID` if the
 * target is not a sink.
 */
export async function writerFactoriesOf(
  target: SinkTarget,
  given: Given,
  schema: Schema,
  surroundings: Surroundings,
): Promise<readonly WriterFactory[]> {
  const definition = definitionOf(target, given, (pipeline) => pipeline.sink);
  if (definition !== undefined) {
    const { dataSource } = definition;
    const parsed = await parsedOptions(target, definition, "checkSink");
    const newSink = (): DataSource<object> =>
      new dataSource(parsed as never, surroundings.dataSourceRuntime());
    const tables = await tableFactoriesOf({ dataSource, options: parsed as object, surroundings }, schema);
    if (tables !== undefined && tables.length > 0) return tables;
    if (tables !== undefined) throw invalid("checkSink", "a table without the capability to be written");
    const factories: WriterFactory[] = [];
    for (const [kind, method] of [
      ["stream", "streamWriter"],
      ["batch", "writer"],
    ] as const) {
      const make = async (schema: Schema, overwrite: boolean) =>
        newSink()[method](schema, overwrite) as Writer<unknown>;
      if (await isSupported(() => make(schema, false))) factories.push({ kind, make });
    }
    if (factories.length > 0) return factories;
    throw invalid("checkSink", "a data source without any writer");
  }
  const make = async (): Promise<Writer<unknown>> => {
    const made =
      typeof target !== "function"
        ? target
        : isClass(target as () => unknown)
          ? new (target as unknown as new () => unknown)()
          : await (target as () => unknown)();
    if (isObject(made) && "write" in made && "commit" in made) return made as unknown as Writer<unknown>;
    throw invalid("checkSink", kindOf(made));
  };
  return [{ kind: writesBatches(await make()) ? "batch" : "stream", make }];
}

/**
 * Returns the data source class and its options, or `undefined` if the target is a reader or
 * writer.
 */
function definitionOf(
  target: unknown,
  given: Given,
  side: (pipeline: Pipeline) => Pipeline["source"],
): Pipeline["source"] | undefined {
  if (Pipeline.is(target)) return side(target);
  const isDataSource =
    typeof target === "function" && isObject(target.prototype) && "streamReader" in target.prototype;
  if (!isDataSource) return undefined;
  return { dataSource: target as unknown as DataSourceClass<never>, options: given.options ?? {} };
}

/**
 * Parses the options. If the target is a class, an error refers to the options in the call of the
 * check, because there is no pipeline.
 */
async function parsedOptions(
  target: unknown,
  { dataSource, options }: Pipeline["source"],
  check: string,
): Promise<unknown> {
  const correct = Pipeline.is(target)
    ? undefined
    : `Correct { options: … } of ${check}, its second argument.`;
  return await parseOptions(dataSource, options, correct);
}

function isClass(target: (...args: never) => unknown): boolean {
  return /^class\b/.test(Function.prototype.toString.call(target));
}

function readerKind(reader: unknown): ReaderFactory["kind"] {
  if (isObject(reader) && "latestOffset" in reader) return "stream";
  if (isObject(reader) && "readBetweenOffsets" in reader) return "simple";
  if (isObject(reader) && "read" in reader && "partitions" in reader) return "batch";
  throw invalid("checkSource", kindOf(reader));
}

async function isSupported(make: () => Promise<unknown>): Promise<boolean> {
  try {
    await make();
    return true;
  } catch (error) {
    if (MillraceError.is(error) && error.code === "NOT_SUPPORTED") return false;
    throw error;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function invalid(check: string, found: string): MillraceError {
  return new MillraceError("CHECK_INVALID", `${check} was given ${found}`, {
    hint:
      check === "checkSource"
        ? "Give a DataSource class (with { options }), a pipeline, or a function that makes a reader: () => new MyReader()."
        : "Give a DataSource class (with { options }), a pipeline, or a function that makes a writer: () => new MyWriter().",
  });
}
