import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec";
import { suggest } from "../suggest.ts";

/** Options as a pipeline sets them. */
export type Options = Readonly<Record<string, unknown>>;

/** The names that a schema has for options. */
export interface OptionNames {
  readonly known: readonly string[];
  /** True if it takes others, too. */
  readonly isOpen: boolean;
}

/**
 * What is used here of JSON Schema: which keys an object may have. Only the top level is looked at.
 */
interface KeySchema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, KeySchema>>;
  readonly type?: unknown;
  readonly properties?: Readonly<Record<string, unknown>>;
  readonly patternProperties?: unknown;
  readonly additionalProperties?: unknown;
  readonly anyOf?: readonly KeySchema[];
  readonly oneOf?: readonly KeySchema[];
  readonly allOf?: readonly KeySchema[];
}

/** The names of a schema's options; `undefined` if it cannot tell them. */
export function namesOf(schema: StandardSchemaV1): OptionNames | undefined {
  const { jsonSchema } = schema["~standard"] as Partial<StandardJSONSchemaV1.Props>;
  try {
    const root = jsonSchema?.input({
      target: "draft-2020-12",
      // What JSON cannot say, such as a function, has a key all the same: in the words of zod, and
      // of Valibot.
      libraryOptions: { unrepresentable: "any", errorMode: "ignore" },
    }) as KeySchema | undefined;
    if (root === undefined) return undefined;
    const parts = objectsIn(root, root);
    const known = [...new Set(parts.flatMap((part) => part.known))];
    const isOpen = parts.some((part) => part.isOpen);
    return parts.length === 0 || (known.length === 0 && isOpen) ? undefined : { known, isOpen };
  } catch {
    return undefined;
  }
}

/** Of an object itself, of what it is composed of, and of its alternatives. */
function objectsIn(schema: KeySchema, root: KeySchema): OptionNames[] {
  const { $ref, allOf = [], anyOf = [], oneOf = [], properties, patternProperties, type = "object" } = schema;
  if ($ref !== undefined) return objectsIn(referred($ref, root), root);
  const parts = [...allOf, ...anyOf, ...oneOf];
  const below = parts.flatMap((part) => objectsIn(part, root));
  if (properties === undefined && (parts.length > 0 || type !== "object")) return below;
  // Many a schema would drop what it does not know without a word: it takes others only if it says
  // so.
  const takesOthers = (schema.additionalProperties ?? properties === undefined) !== false;
  const isOpen = takesOthers || patternProperties !== undefined;
  return [{ known: Object.keys(properties ?? {}), isOpen }, ...below];
}

function referred(ref: string, root: KeySchema): KeySchema {
  const [name] = /(?<=^#\/\$defs\/).*/.exec(ref) ?? [];
  return name === undefined ? root : (root.$defs?.[decodeURIComponent(name)] ?? {});
}

/**
 * The options under the names that are known in another case, and what is wrong with those that are
 * not.
 */
export function underKnownNames(
  options: Options,
  { known, isOpen }: OptionNames,
): { readonly options: Options; readonly problems: readonly string[] } {
  const byLowerCase = new Map(known.map((name) => [name.toLowerCase(), name]));
  const kept: [string, unknown][] = [];
  const problems: string[] = [];
  for (const [written, value] of Object.entries(options)) {
    const name = byLowerCase.get(written.toLowerCase());
    if (name !== undefined || isOpen) kept.push([name ?? written, value]);
    else problems.push(`${written}: there is no such option${suggest(written, known)}`);
  }
  return { options: Object.fromEntries(kept), problems };
}

/**
 * `options` under names that are found in any case, as Spark's are. What is listed are the names as
 * they were written. `onFound` is told of each that is asked for in another case.
 */
export function caseInsensitive(
  options: Options,
  onFound?: (written: string, asked: string) => void,
): Options {
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

/** Options over others: a name in another case is the same option. */
export function mergeOptions(options: Options, over: object): Options {
  const merged = new Map<string, readonly [string, unknown]>();
  for (const entry of [...Object.entries(options), ...Object.entries(over)])
    merged.set(entry[0].toLowerCase(), entry);
  return Object.fromEntries(merged.values());
}
