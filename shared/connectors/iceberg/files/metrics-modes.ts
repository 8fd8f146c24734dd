import { MillraceError } from "../../../contract/errors.ts";
import { childrenOf } from "../format/schema.ts";
import type { IcebergSchema, IcebergType } from "../format/types.ts";

/** Which metrics of a column a manifest gets. `length`: characters or bytes of a bound. */
export type MetricsMode =
  | { readonly kind: "none" | "counts" | "full" }
  | { readonly kind: "truncate"; readonly length: number };

const DEFAULT = "write.metadata.metrics.default";
const COLUMN = "write.metadata.metrics.column.";
const LIMIT = "write.metadata.metrics.max-inferred-column-defaults";
const DEFAULT_MODE: MetricsMode = { kind: "truncate", length: 16 };
const DEFAULT_LIMIT = "100";

/**
 * Returns the mode of each leaf column, by field id, from a table's properties. As in Iceberg's
 * Java library, only the first 100 columns have metrics if the properties do not say more. Throws
 * `TABLE_PROPERTY_INVALID`.
 */
export function metricsModes(
  schema: IcebergSchema,
  properties: Readonly<Record<string, string>>,
): ReadonlyMap<number, MetricsMode> {
  const given = properties[DEFAULT];
  const usual = given === undefined ? DEFAULT_MODE : modeOf(DEFAULT, given);
  const limit = given === undefined ? limitOf(properties[LIMIT] ?? DEFAULT_LIMIT) : Number.POSITIVE_INFINITY;
  return new Map(
    [...nearestFirst(schema)].map(({ id, name }, i) => {
      const own = properties[`${COLUMN}${name}`];
      if (own !== undefined) return [id, modeOf(`${COLUMN}${name}`, own)];
      return [id, i < limit ? usual : { kind: "none" }];
    }),
  );
}

/**
 * Yields the leaves in the order of Java's limit: those of a struct before those inside its fields.
 */
function* nearestFirst(
  parent: IcebergType,
  prefix = "",
): Generator<{ readonly id: number; readonly name: string }> {
  const children = childrenOf(parent).map((field) => ({ ...field, name: `${prefix}${field.name}` }));
  for (const { id, name, type } of children) if (typeof type === "string") yield { id, name };
  for (const { name, type } of children) yield* nearestFirst(type, `${name}.`);
}

function modeOf(key: string, text: string): MetricsMode {
  const mode = text.toLowerCase();
  if (mode === "none" || mode === "counts" || mode === "full") return { kind: mode };
  const length = Number(/^truncate\((\d+)\)$/.exec(mode)?.[1]);
  if (length > 0) return { kind: "truncate", length };
  throw propertyInvalid(key, text, "none, counts, full or truncate(16)");
}

function limitOf(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw propertyInvalid(LIMIT, text, "a number");
}

export function propertyInvalid(key: string, value: string, expected: string): MillraceError {
  return new MillraceError(
    "TABLE_PROPERTY_INVALID",
    `the table's property "${key}" is "${value}", which is not ${expected}`,
    {
      hint: `Set it to ${expected} with another engine, as in ALTER TABLE … SET TBLPROPERTIES, or remove it. Then \`millrace run\` again.`,
    },
  );
}
