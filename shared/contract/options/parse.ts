import type { StandardSchemaV1 } from "@standard-schema/spec";
import { MillraceError } from "../errors.ts";
import { isPlainObject } from "../json.ts";
import { caseInsensitive, namesOf, type Options, underKnownNames } from "./names.ts";

/**
 * What checks the options of a data source: a schema of zod, Valibot, ArkType or any other library
 * that speaks Standard Schema. `Input` is what a pipeline may set, `Output` what the data source
 * gets, with defaults.
 */
export type OptionsSchema<Input = unknown, Output = unknown> = StandardSchemaV1<Input, Output>;

/** A class whose options are to be checked: see `DataSourceClass`. */
export interface HasOptions<Output = unknown> {
  readonly name: string;
  readonly optionsSchema?: OptionsSchema<unknown, Output>;
}

/** What a schema made of options, and which options it was given. */
interface Validated {
  readonly result: StandardSchemaV1.Result<unknown>;
  readonly given: Options;
  /** What is wrong with names that the schema does not know. */
  readonly unknown: readonly string[];
}

/**
 * `options` as the class's `optionsSchema` reads them; as they are if it has none. Names are
 * case-insensitive. Error: `OPTIONS_INVALID`, which names all that is wrong, and quotes no value;
 * `correct` says where to correct it.
 */
export async function parseOptions<Output = Options>(
  dataSource: HasOptions<Output>,
  options: Options,
  correct?: string,
): Promise<Output>;
export async function parseOptions(
  { name, optionsSchema }: HasOptions,
  options: Options,
  correct = `Correct the options of .format(${name}) in the pipeline.`,
): Promise<unknown> {
  if (optionsSchema === undefined) return caseInsensitive(options);
  if (!isStandardSchema(optionsSchema)) {
    throw new MillraceError("OPTIONS_INVALID", `optionsSchema of ${name} is no Standard Schema`, {
      hint: "Write it with zod, Valibot, ArkType or another library that speaks Standard Schema, such as z.strictObject({ path: z.string() }). A JSON Schema alone checks nothing.",
    });
  }
  const { result, given, unknown } = await validate(optionsSchema, options);
  const problems = [...unknown, ...(result.issues ?? []).map((issue) => describeIssue(issue, given))];
  if (result.issues === undefined && problems.length === 0) return result.value;
  throw new MillraceError("OPTIONS_INVALID", `${name} cannot use its options:${listed(problems)}`, {
    hint: correct,
  });
}

function isStandardSchema(schema: unknown): boolean {
  const standard: unknown = (schema as Partial<OptionsSchema> | null)?.["~standard"];
  return typeof (standard as Partial<OptionsSchema["~standard"]> | undefined)?.validate === "function";
}

async function validate(schema: OptionsSchema, options: Options): Promise<Validated> {
  const names = namesOf(schema);
  if (names === undefined) return await validateInAnyCase(schema, options);
  const { options: given, problems: unknown } = underKnownNames(options, names);
  return { result: await schema["~standard"].validate(given), given, unknown };
}

/**
 * For a schema that cannot tell its keys: what it asks for shows how it writes them. One that
 * refuses other keys needs them so.
 */
async function validateInAnyCase(schema: OptionsSchema, options: Options): Promise<Validated> {
  const asked = new Map<string, string>();
  const inAnyCase = caseInsensitive(options, (written, name) => asked.set(written, name));
  const result = await schema["~standard"].validate(inAnyCase);
  if (result.issues === undefined || asked.size === 0) return { result, given: inAnyCase, unknown: [] };
  const entries = Object.entries(options).map(([name, value]) => [asked.get(name) ?? name, value] as const);
  const renamed = Object.fromEntries(entries);
  return { result: await schema["~standard"].validate(renamed), given: inAnyCase, unknown: [] };
}

/** One problem in the same line, several in lines of their own. */
function listed(problems: readonly string[]): string {
  return problems.length === 1 ? ` ${problems[0]}` : problems.map((problem) => `\n- ${problem}`).join("");
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
  // Shorter ones are words of the message.
  return value.length < 4 ? hidden : withoutWord(hidden, value);
}

/** What is part of a longer word is another: "cursor" in the name "cursorParam". */
function withoutWord(message: string, value: string): string {
  const isCut = (before: string | undefined, after: string | undefined) =>
    WORD.test(before ?? "") && WORD.test(after ?? "");
  return message.replaceAll(value, (found, at: number) => {
    const end = at + value.length;
    const isPart = isCut(message[at - 1], value[0]) || isCut(value.at(-1), message[end]);
    return isPart ? found : "…";
  });
}
const WORD = /[\p{L}\p{N}_]/u;
