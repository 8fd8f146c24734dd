import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec";
import { closestMatch } from "leven";
import { MillraceError } from "./errors.ts";
import { isPlainObject } from "./json.ts";

/**
 * What checks the options of a data source: a schema of zod, Valibot, ArkType or any other library that speaks Standard Schema.
 * `Input` is what a pipeline may set, `Output` what the data source gets, with defaults.
 */
export type OptionsSchema<Input = unknown, Output = unknown> = StandardSchemaV1<Input, Output>;

/** A class whose options are to be checked: see `DataSourceClass`. */
export interface HasOptions<Output = unknown> {
  readonly name: string;
  readonly optionsSchema?: OptionsSchema<unknown, Output>;
}

type Options = Readonly<Record<string, unknown>>;

/** What is used here of JSON Schema: which keys an object may have. */
interface KeySchema {
  readonly properties?: Readonly<Record<string, KeySchema>>;
  readonly additionalProperties?: unknown;
  readonly anyOf?: readonly KeySchema[];
  readonly oneOf?: readonly KeySchema[];
  readonly const?: unknown;
}

/**
 * `options` as the class's `optionsSchema` reads them; as they are, where it has none. Names are case-insensitive. Error: `OPTIONS_INVALID`, which
 * names all that is wrong.
 */
export async function parseOptions<Output = Options>(
  dataSource: HasOptions<Output>,
  options: Options,
): Promise<Output>;
export async function parseOptions(dataSource: HasOptions, options: Options): Promise<unknown> {
  const { optionsSchema } = dataSource;
  if (optionsSchema === undefined) return caseInsensitive(options);
  const keys = keysOf(optionsSchema);
  const unknown: string[] = [];
  const known =
    keys === undefined
      ? caseInsensitive(options)
      : withoutUnknown(withKnownCase(options, keys), keys, "", unknown);
  const result = await optionsSchema["~standard"].validate(known);
  const problems = [...unknown, ...(result.issues ?? []).map(describeIssue)];
  if (result.issues === undefined && problems.length === 0) return result.value;
  throw new MillraceError(
    "OPTIONS_INVALID",
    `${dataSource.name} cannot use its options: ${problems.join("; ")}`,
    { hint: `Correct the options of .format(${dataSource.name}) in the pipeline.` },
  );
}

/** `options` under names that are found in any case, as Spark's are. What is listed are the names as they were written. */
function caseInsensitive(options: Options): Options {
  const names = new Map(Object.keys(options).map((name) => [name.toLowerCase(), name]));
  const nameOf = (key: string | symbol) =>
    typeof key === "string" && !(key in options) ? (names.get(key.toLowerCase()) ?? key) : key;
  return new Proxy(Object.freeze({ ...options }), {
    get: (target, key) => Reflect.get(target, nameOf(key)),
    has: (target, key) => Reflect.has(target, nameOf(key)),
  });
}

/** Options over others: a name in another case is the same option. */
export function mergeOptions(options: Options, over: object): Options {
  const set = new Set(Object.keys(over).map((name) => name.toLowerCase()));
  const kept = Object.entries(options).filter(([name]) => !set.has(name.toLowerCase()));
  return { ...Object.fromEntries(kept), ...over };
}

/** Which keys the options may have, where the schema can tell. */
function keysOf(schema: OptionsSchema): KeySchema | undefined {
  const { jsonSchema } = schema["~standard"] as Partial<StandardJSONSchemaV1.Props>;
  try {
    // What JSON cannot say, such as a function, has a key all the same.
    const keys = jsonSchema?.input({
      target: "draft-2020-12",
      libraryOptions: { unrepresentable: "any" },
    }) as KeySchema | undefined;
    return keys?.properties === undefined ? undefined : keys;
  } catch {
    return undefined;
  }
}

function withKnownCase(options: Options, { properties = {} }: KeySchema): Options {
  const known = new Map(Object.keys(properties).map((name) => [name.toLowerCase(), name]));
  return Object.fromEntries(
    Object.entries(options).map(([name, value]) => [known.get(name.toLowerCase()) ?? name, value]),
  );
}

/** `value` without the keys that `schema` does not know, at any depth; each of them is one of `problems`. */
function withoutUnknown<T>(value: T, schema: KeySchema, path: string, problems: string[]): T {
  if (!isPlainObject(value)) return value;
  const { properties, additionalProperties } = branchFor(value, schema);
  if (properties === undefined) return value;
  // An object schema that says nothing of other keys would drop them without a word.
  const isOpen = additionalProperties !== undefined && additionalProperties !== false;
  const kept: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    const under = properties[key];
    if (under !== undefined) kept[key] = withoutUnknown(item, under, `${path}${key}.`, problems);
    else if (isOpen) kept[key] = item;
    else problems.push(`${path}${key}: there is no such option${suggest(key, Object.keys(properties))}`);
  }
  return kept as T;
}

/** The alternative of a union that `value` is meant for: the one whose constants it has. */
function branchFor(value: Options, schema: KeySchema): KeySchema {
  const branches = schema.anyOf ?? schema.oneOf;
  if (branches === undefined) return schema;
  const isMeant = ({ properties }: KeySchema) =>
    properties !== undefined &&
    Object.entries(properties).some(
      ([key, { const: constant }]) => constant !== undefined && constant === value[key],
    );
  const objects = branches.filter(({ properties }) => properties !== undefined);
  return branches.find(isMeant) ?? (objects.length === 1 ? (objects[0] ?? {}) : {});
}

function describeIssue({ path = [], message }: StandardSchemaV1.Issue): string {
  const place = path.map((part) => String(typeof part === "object" ? part.key : part)).join(".");
  return `${place || "options"}: ${message}`;
}

/** ` (did you mean pageSize?)`, where one of the names is close; else, what there is. */
export function suggest(name: string, names: readonly string[]): string {
  const lower = new Map(names.map((known) => [known.toLowerCase(), known]));
  const maxDistance = Math.max(2, Math.floor(name.length / 3));
  const close = closestMatch(name.toLowerCase(), [...lower.keys()], { maxDistance });
  const meant = close === undefined ? undefined : lower.get(close);
  if (meant !== undefined) return ` (did you mean ${meant}?)`;
  return names.length === 0 ? "" : ` (there are ${[...names].sort().join(", ")})`;
}
