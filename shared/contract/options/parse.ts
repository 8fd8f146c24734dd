import type { StandardSchemaV1 } from "@standard-schema/spec";
import { MillraceError } from "../errors.ts";
import { isPlainObject } from "../json.ts";
import { caseInsensitive, matchOptionNames, type Options, optionNamesOf } from "./names.ts";

/**
 * A schema that validates the options of a data source, from zod, Valibot, ArkType or any other
 * Standard Schema library. `Input` is what a pipeline may set. `Output` is what the data source
 * receives, with defaults filled in.
 */
export type OptionsSchema<Input = unknown, Output = unknown> = StandardSchemaV1<Input, Output>;

/** The part of a data source class that is needed to parse its options. See `DataSourceClass`. */
export interface HasOptions<Output = unknown> {
  readonly name: string;
  readonly optionsSchema?: OptionsSchema<unknown, Output>;
}

/** The result of a validation, and the options that were validated. */
interface Validated {
  readonly result: StandardSchemaV1.Result<unknown>;
  readonly given: Options;
  /** Problems with option names that the schema does not know. */
  readonly unknown: readonly string[];
}

/**
 * Validates `options` with the class's `optionsSchema`, or returns them unchanged if it has none.
 * Names are case-insensitive. Throws `OPTIONS_INVALID`, which lists all problems and never quotes a
 * value. `correct` is the hint of this error.
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
  throw new MillraceError("OPTIONS_INVALID", `${name} cannot use its options:${formatProblems(problems)}`, {
    hint: correct,
  });
}

function isStandardSchema(schema: unknown): boolean {
  const standard: unknown = (schema as Partial<OptionsSchema> | null)?.["~standard"];
  return typeof (standard as Partial<OptionsSchema["~standard"]> | undefined)?.validate === "function";
}

async function validate(schema: OptionsSchema, options: Options): Promise<Validated> {
  const names = optionNamesOf(schema);
  if (names === undefined) return await validateInAnyCase(schema, options);
  const { options: given, problems: unknown } = matchOptionNames(options, names);
  return { result: await schema["~standard"].validate(given), given, unknown };
}

/**
 * Validates with a schema that cannot list its names. The first try records which names the schema
 * looks up in another case. If it fails, a second try renames the options accordingly, because a
 * strict schema refuses names that it does not know.
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

/** Puts a single problem on the same line, and several problems on lines of their own. */
function formatProblems(problems: readonly string[]): string {
  return problems.length === 1 ? ` ${problems[0]}` : problems.map((problem) => `\n- ${problem}`).join("");
}

function describeIssue({ path = [], message }: StandardSchemaV1.Issue, options: Options): string {
  const keys = path.map((part) => (typeof part === "object" ? part.key : part));
  const place = keys.map(String).join(".") || "options";
  const value = keys.reduce<unknown>(
    (below, key) => (below as Options | undefined)?.[key as string],
    options,
  );
  const withoutPath = message.startsWith(`${place} `) ? message.slice(place.length + 1) : message;
  return `${place}: ${redactValue(withoutPath, value)}`;
}

/**
 * Replaces the option's value in a validation message by `…`. Some libraries quote the value, which
 * may be a secret.
 */
function redactValue(message: string, value: unknown): string {
  if (Array.isArray(value) || isPlainObject(value))
    return Object.values(value).reduce<string>(redactValue, message);
  if (typeof value === "number" || typeof value === "bigint")
    return message.replaceAll(new RegExp(`(?<![\\w.-])${value}(?![\\w.])`.replace("+", "\\+"), "g"), "…");
  if (typeof value !== "string" || value === "") return message;
  const hidden = message.replaceAll(JSON.stringify(value), "…").replaceAll(`'${value}'`, "…");
  // An unquoted value of fewer than 4 characters could be an ordinary word of the message.
  return value.length < 4 ? hidden : redactWord(hidden, value);
}

/**
 * Replaces `value` by `…` unless it is part of a longer word, such as "cursor" in "cursorParam".
 */
function redactWord(message: string, value: string): string {
  const isInsideWord = (before: string | undefined, after: string | undefined) =>
    WORD.test(before ?? "") && WORD.test(after ?? "");
  return message.replaceAll(value, (found, at: number) => {
    const end = at + value.length;
    const isPart = isInsideWord(message[at - 1], value[0]) || isInsideWord(value.at(-1), message[end]);
    return isPart ? found : "…";
  });
}
const WORD = /[\p{L}\p{N}_]/u;
