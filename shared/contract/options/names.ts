import type { StandardJSONSchemaV1, StandardSchemaV1 } from "@standard-schema/spec";
import { suggest } from "../suggest.ts";

/** Options as the pipeline sets them, not validated. */
export type Options = Readonly<Record<string, unknown>>;

/** The option names that a schema declares. */
export interface OptionNames {
  readonly known: readonly string[];
  /** True if the schema also accepts names that it does not declare. */
  readonly isOpen: boolean;
}

/** The part of JSON Schema that is used here: which keys the top-level object may have. */
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

/**
 * Returns the option names that a schema declares, or `undefined` if the schema cannot list them.
 */
export function optionNamesOf(schema: StandardSchemaV1): OptionNames | undefined {
  const { jsonSchema } = schema["~standard"] as Partial<StandardJSONSchemaV1.Props>;
  try {
    const root = jsonSchema?.input({
      target: "draft-2020-12",
      // Without these settings zod (first) and Valibot (second) fail on types that JSON Schema
      // cannot express, such as functions. Only the names are needed.
      libraryOptions: { unrepresentable: "any", errorMode: "ignore" },
    }) as KeySchema | undefined;
    if (root === undefined) return undefined;
    const parts = optionNamesIn(root, root);
    const known = [...new Set(parts.flatMap((part) => part.known))];
    const isOpen = parts.some((part) => part.isOpen);
    return parts.length === 0 || (known.length === 0 && isOpen) ? undefined : { known, isOpen };
  } catch {
    return undefined;
  }
}

/**
 * Collects the names of an object schema, of the schemas that it combines (`allOf`), and of its
 * alternatives (`anyOf`, `oneOf`).
 */
function optionNamesIn(schema: KeySchema, root: KeySchema): OptionNames[] {
  const { $ref, allOf = [], anyOf = [], oneOf = [], properties, patternProperties, type = "object" } = schema;
  if ($ref !== undefined) return optionNamesIn(resolveRef($ref, root), root);
  const parts = [...allOf, ...anyOf, ...oneOf];
  const below = parts.flatMap((part) => optionNamesIn(part, root));
  if (properties === undefined && (parts.length > 0 || type !== "object")) return below;
  // Many schema libraries silently drop unknown keys, so a missing `additionalProperties` means
  // that only the declared keys are accepted. A schema without any declared key accepts all.
  const acceptsUnknown = (schema.additionalProperties ?? properties === undefined) !== false;
  const isOpen = acceptsUnknown || patternProperties !== undefined;
  return [{ known: Object.keys(properties ?? {}), isOpen }, ...below];
}

function resolveRef(ref: string, root: KeySchema): KeySchema {
  const [name] = /(?<=^#\/\$defs\/).*/.exec(ref) ?? [];
  return name === undefined ? root : (root.$defs?.[decodeURIComponent(name)] ?? {});
}

/**
 * Renames options to the spelling that the schema declares, ignoring case. Returns a problem for
 * each name that the schema does not know.
 */
export function matchOptionNames(
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
 * Returns `options` with case-insensitive lookup, as in Spark. Listing the keys returns the
 * original names. `onFound` is called for each lookup that differs in case from the original name.
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

/** Merges two sets of options. `over` wins, also if its name differs only in case. */
export function mergeOptions(options: Options, over: object): Options {
  const merged = new Map<string, readonly [string, unknown]>();
  for (const entry of [...Object.entries(options), ...Object.entries(over)])
    merged.set(entry[0].toLowerCase(), entry);
  return Object.fromEntries(merged.values());
}
