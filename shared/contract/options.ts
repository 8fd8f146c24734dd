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
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, KeySchema>>;
  readonly type?: unknown;
  readonly properties?: Readonly<Record<string, KeySchema>>;
  readonly patternProperties?: unknown;
  readonly additionalProperties?: KeySchema | boolean;
  readonly items?: KeySchema | boolean;
  readonly prefixItems?: readonly KeySchema[];
  readonly anyOf?: readonly KeySchema[];
  readonly oneOf?: readonly KeySchema[];
  readonly allOf?: readonly KeySchema[];
  readonly const?: unknown;
}

/**
 * `options` as the class's `optionsSchema` reads them; as they are, where it has none. Names are case-insensitive. Error: `OPTIONS_INVALID`, which
 * names all that is wrong, and quotes no value.
 */
export async function parseOptions<Output = Options>(
  dataSource: HasOptions<Output>,
  options: Options,
): Promise<Output>;
export async function parseOptions(dataSource: HasOptions, options: Options): Promise<unknown> {
  const { optionsSchema } = dataSource;
  if (optionsSchema === undefined) return caseInsensitive(options);
  if (!isStandardSchema(optionsSchema)) {
    throw new MillraceError("OPTIONS_INVALID", `optionsSchema of ${dataSource.name} is no Standard Schema`, {
      hint: "Write it with zod, Valibot, ArkType or another library that speaks Standard Schema, such as z.strictObject({ path: z.string() }). A JSON Schema alone checks nothing.",
    });
  }
  const keys = KeyChecker.of(optionsSchema);
  const known = keys?.check(options) ?? caseInsensitive(options);
  const result =
    keys === undefined
      ? await validateInAnyCase(optionsSchema, options)
      : await optionsSchema["~standard"].validate(known);
  const issues = (result.issues ?? []).map((issue) => describeIssue(issue, known));
  const problems = [...(keys?.problems ?? []), ...issues];
  if (result.issues === undefined && problems.length === 0) return result.value;
  throw new MillraceError(
    "OPTIONS_INVALID",
    `${dataSource.name} cannot use its options:${listed(problems)}`,
    { hint: `Correct the options of .format(${dataSource.name}) in the pipeline.` },
  );
}

function isStandardSchema(schema: unknown): boolean {
  const standard: unknown = (schema as Partial<OptionsSchema> | null)?.["~standard"];
  return typeof (standard as Partial<OptionsSchema["~standard"]> | undefined)?.validate === "function";
}

/** One problem in the same line, several in lines of their own. */
function listed(problems: readonly string[]): string {
  return problems.length === 1 ? ` ${problems[0]}` : problems.map((problem) => `\n- ${problem}`).join("");
}

/**
 * `options` under names that are found in any case, as Spark's are. What is listed are the names as they were written. `onFound` is told of each that
 * is asked for in another case.
 */
function caseInsensitive(options: Options, onFound?: (written: string, asked: string) => void): Options {
  const names = new Map(Object.keys(options).map((name) => [name.toLowerCase(), name]));
  const nameOf = (key: string | symbol) => {
    if (typeof key !== "string" || Object.hasOwn(options, key)) return key;
    const written = names.get(key.toLowerCase());
    if (written !== undefined) onFound?.(written, key);
    return written ?? key;
  };
  return new Proxy(Object.freeze({ ...options }), {
    get: (target, key) => Reflect.get(target, nameOf(key)),
    has: (target, key) => Reflect.has(target, nameOf(key)),
  });
}

/** For a schema that cannot tell its keys: what it asks for shows how it writes them. One that refuses other keys needs them so. */
async function validateInAnyCase(
  schema: OptionsSchema,
  options: Options,
): Promise<StandardSchemaV1.Result<unknown>> {
  const names = new Map<string, string>();
  const inAnyCase = caseInsensitive(options, (written, asked) => names.set(written, asked));
  const result = await schema["~standard"].validate(inAnyCase);
  if (result.issues === undefined || names.size === 0) return result;
  return await schema["~standard"].validate(renamed(options, (name) => names.get(name)));
}

/** Options over others: a name in another case is the same option. */
export function mergeOptions(options: Options, over: object): Options {
  const merged = new Map<string, readonly [string, unknown]>();
  for (const entry of [...Object.entries(options), ...Object.entries(over)])
    merged.set(entry[0].toLowerCase(), entry);
  return Object.fromEntries(merged.values());
}

function renamed(options: Options, nameOf: (name: string) => string | undefined): Options {
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [nameOf(name) ?? name, value]));
}

/** Finds the keys that a schema does not know: many a schema would drop them without a word. */
class KeyChecker {
  readonly problems: string[] = [];
  readonly #root: KeySchema;

  private constructor(root: KeySchema) {
    this.#root = root;
  }

  /** Nothing, where the schema cannot tell its keys. */
  static of(schema: OptionsSchema): KeyChecker | undefined {
    const { jsonSchema } = schema["~standard"] as Partial<StandardJSONSchemaV1.Props>;
    try {
      const root = jsonSchema?.input({
        target: "draft-2020-12",
        // What JSON cannot say, such as a function, has a key all the same: in the words of zod, and of Valibot.
        libraryOptions: { unrepresentable: "any", errorMode: "ignore" },
      });
      if (root === undefined) return undefined;
      const checker = new KeyChecker(root as KeySchema);
      return checker.#shapeOf({}, checker.#root)?.properties === undefined ? undefined : checker;
    } catch {
      return undefined;
    }
  }

  /** The options under the names that the schema has for them, without those that it does not know. */
  check(options: Options): Options {
    const { properties = {} } = this.#shapeOf({}, this.#root) ?? {};
    const known = new Map(Object.keys(properties).map((name) => [name.toLowerCase(), name]));
    const named = renamed(options, (name) => known.get(name.toLowerCase()));
    return this.#known(named, this.#root, "") as Options;
  }

  #known(value: unknown, schema: KeySchema, path: string): unknown {
    if (Array.isArray(value)) return this.#knownItems(value, schema, path);
    if (!isPlainObject(value)) return value;
    const shape = this.#shapeOf(value, schema);
    if (shape === undefined) return value;
    const { properties = {}, additionalProperties: others = false } = shape;
    const kept: [string, unknown][] = [];
    for (const [key, item] of Object.entries(value)) {
      const under = Object.hasOwn(properties, key) ? properties[key] : others;
      if (typeof under === "object") kept.push([key, this.#known(item, under, `${path}${key}.`)]);
      else if (under) kept.push([key, item]);
      else
        this.problems.push(`${path}${key}: there is no such option${suggest(key, Object.keys(properties))}`);
    }
    return Object.fromEntries(kept);
  }

  #knownItems(list: readonly unknown[], schema: KeySchema, path: string): unknown[] {
    const { anyOf, oneOf, ...own } = this.#follow(schema);
    const alternatives = (anyOf ?? oneOf ?? []).map((alternative) => this.#follow(alternative));
    const arrays = [own, ...alternatives].filter(({ type }) => type === "array");
    return list.map((item, i) => {
      const under = arrays.map(({ items, prefixItems }) => prefixItems?.[i] ?? items);
      const schemas = under.filter((one) => typeof one === "object");
      return schemas.length === 0 || schemas.length < under.length
        ? item
        : this.#known(item, { anyOf: schemas }, `${path}${i}.`);
    });
  }

  /** The keys that an object may have under a schema: of a union, under the alternative that it is meant for, or any. Nothing, where it may be no object. */
  #shapeOf(value: Options, schema: KeySchema): KeySchema | undefined {
    const { allOf = [], anyOf, oneOf, ...own } = this.#follow(schema);
    const alternatives = (anyOf ?? oneOf ?? []).map((alternative) => this.#follow(alternative));
    const meant = alternatives.filter((alternative) => isMeant(value, alternative));
    const parts = [...allOf, ...(meant.length === 0 ? alternatives : meant)];
    const shapes = parts.flatMap((part) => this.#shapeOf(value, part) ?? []);
    if (own.patternProperties !== undefined) shapes.push({ ...own, additionalProperties: true });
    else if (own.properties !== undefined) shapes.push(own);
    else if (parts.length === 0 && (own.type ?? "object") === "object")
      shapes.push({ additionalProperties: own.additionalProperties ?? true });
    return shapes.length === 0 ? undefined : shapes.reduce(merged);
  }

  #follow(schema: KeySchema): KeySchema {
    if (schema.$ref === undefined) return schema;
    const [name] = /(?<=^#\/\$defs\/).*/.exec(schema.$ref) ?? [];
    return name === undefined ? this.#root : (this.#root.$defs?.[decodeURIComponent(name)] ?? {});
  }
}

/** True where `value` has the constant by which this alternative is told from the others. */
function isMeant(value: Options, { properties = {} }: KeySchema): boolean {
  return Object.entries(properties).some(
    ([key, { const: constant }]) => constant !== undefined && constant === value[key],
  );
}

/** What either of two schemas allows. */
function merged(a: KeySchema, b: KeySchema): KeySchema {
  const properties = { ...a.properties };
  for (const [key, schema] of Object.entries(b.properties ?? {})) {
    const other = properties[key];
    properties[key] = other === undefined ? schema : { anyOf: [other, schema] };
  }
  const [others, more] = [a.additionalProperties ?? false, b.additionalProperties ?? false];
  const both = others === false ? more : more === false ? others : true;
  return { properties, additionalProperties: both };
}

function describeIssue({ path = [], message }: StandardSchemaV1.Issue, options: Options): string {
  const keys = path.map((part) => (typeof part === "object" ? part.key : part));
  const place = keys.map(String).join(".") || "options";
  const value = keys.reduce<unknown>(
    (below, key) => (below as Options | undefined)?.[key as string],
    options,
  );
  const told = message.startsWith(`${place} `) ? message.slice(place.length + 1) : message;
  return `${place}: ${withoutValues(told, value)}`;
}

/** Some libraries quote what they found, which may be a secret. */
function withoutValues(message: string, value: unknown): string {
  if (Array.isArray(value) || isPlainObject(value))
    return Object.values(value).reduce<string>(withoutValues, message);
  if (typeof value === "number" || typeof value === "bigint")
    return message.replaceAll(new RegExp(`(?<![\\w.-])${value}(?![\\w.])`.replace("+", "\\+"), "g"), "…");
  if (typeof value !== "string" || value === "") return message;
  const hidden = message.replaceAll(JSON.stringify(value), "…").replaceAll(`'${value}'`, "…");
  // Shorter ones are parts of words.
  return value.length < 4 ? hidden : hidden.replaceAll(value, "…");
}

/** ` (did you mean pageSize?)`, where one of the names is close; else, what there is. */
export function suggest(name: string, names: readonly string[]): string {
  const lower = new Map(names.map((known) => [known.toLowerCase(), known]));
  const maxDistance = Math.min(name.length >> 1, Math.max(2, Math.floor(name.length / 3)));
  const close = closestMatch(name.toLowerCase(), [...lower.keys()], { maxDistance });
  const meant = close === undefined ? undefined : lower.get(close);
  if (meant !== undefined) return ` (did you mean ${meant}?)`;
  return names.length === 0 ? "" : ` (there are ${[...names].sort().join(", ")})`;
}
