import { isDeepStrictEqual } from "node:util";
import { MillraceError } from "../../../contract/errors.ts";
import { isPromotion } from "../evolve/promotion.ts";
import { currentSchema } from "../format/metadata.ts";
import { childrenOf } from "../format/schema.ts";
import type {
  IcebergSchema,
  IcebergType,
  NestedField,
  TableMetadata,
  TableRequirement,
  TableUpdate,
} from "../format/types.ts";
import type { Replaces } from "./replace-files.ts";
import type { WritePlan } from "./write-plan.ts";

/** The schema that the table has after the commit, and how it gets it. */
export interface Evolution {
  readonly schema: IcebergSchema;
  readonly requirements: readonly TableRequirement[];
  readonly updates: readonly TableUpdate[];
}

/**
 * Returns the columns that the commit adds or widens. The files of the batch were written by the
 * plan, so all their columns must still be in the table, and the ids of new columns must still be
 * free, or mean the same. Throws `TABLE_CHANGED`.
 */
export function evolutionOf(metadata: TableMetadata, plan: WritePlan | undefined): Evolution {
  const current = currentSchema(metadata);
  const currentId = current["schema-id"];
  const requirements: readonly TableRequirement[] = [
    { type: "assert-current-schema-id", "current-schema-id": currentId },
  ];
  if (plan === undefined) return { schema: current, requirements: [], updates: [] };
  const baseLastColumnId = plan.evolves?.baseLastColumnId ?? plan.lastColumnId;
  if (coversFields(current.fields, plan.schema.fields, baseLastColumnId))
    return { schema: current, requirements, updates: [] };
  const isAsPlanned =
    currentId === plan.evolves?.baseSchemaId &&
    metadata["last-column-id"] === baseLastColumnId &&
    (plan.evolves.isFirst === undefined || metadata.snapshots.length === 0);
  if (!isAsPlanned) throw tableChanged("columns", metadata);
  const schema = { ...plan.schema, "schema-id": schemaIdFor(metadata, plan.schema) };
  return {
    schema,
    requirements: [
      ...requirements,
      { type: "assert-last-assigned-field-id", "last-assigned-field-id": baseLastColumnId },
    ],
    updates: [
      { action: "add-schema", schema, "last-column-id": plan.lastColumnId },
      { action: "set-current-schema", "schema-id": schema["schema-id"] },
    ],
  };
}

/**
 * Checks that the table still has the partitioning by which the files were written. If partitions
 * are replaced it must also be the current one, because values of different partitionings cannot be
 * compared. Throws `TABLE_CHANGED`.
 */
export function checkSpec(metadata: TableMetadata, plan: WritePlan | undefined, replaces: Replaces): void {
  if (plan === undefined) return;
  const { "spec-id": id, fields } = plan.spec;
  const found = metadata["partition-specs"].find((spec) => spec["spec-id"] === id);
  const isCurrent = replaces !== "partitions" || metadata["default-spec-id"] === id;
  if (isCurrent && isDeepStrictEqual(found?.fields, fields)) return;
  throw tableChanged("partitioning", metadata);
}

function tableChanged(what: string, { location }: TableMetadata): MillraceError {
  return new MillraceError(
    "TABLE_CHANGED",
    `another writer changed the ${what} of the table after the batch was planned`,
    {
      where: { path: location },
      hint: "Nothing was committed. The next `millrace run` plans the batch again for the table as it is now.",
    },
  );
}

/** A catalog takes the id of an equal schema, or the next one. */
function schemaIdFor({ schemas }: TableMetadata, { fields }: IcebergSchema): number {
  const equal = schemas.find((schema) => isDeepStrictEqual(schema.fields, fields));
  return equal?.["schema-id"] ?? Math.max(...schemas.map((schema) => schema["schema-id"])) + 1;
}

/**
 * True if a struct with the fields `has` stores the fields `wanted`. A renamed or widened field
 * still stores what it stored before. Names tell whether fields with ids after `base`, which two
 * writers may have given out at once, mean the same.
 */
function coversFields(has: readonly NestedField[], wanted: readonly NestedField[], base: number): boolean {
  const ids = new Set(wanted.map(({ id }) => id));
  return (
    has.every(({ id, required }) => ids.has(id) || !required) &&
    wanted.every((field) => {
      const own = has.find(({ id }) => id === field.id);
      return (
        own !== undefined &&
        (own.name === field.name || field.id <= base) &&
        (field.required || !own.required) &&
        coversType(own.type, field.type, base)
      );
    })
  );
}

function coversType(has: IcebergType, wanted: IcebergType, base: number): boolean {
  if (typeof has === "string" || typeof wanted === "string") return has === wanted || isWider(has, wanted);
  // The element of a list, and key and value of a map, are fields with an id, as those of a struct.
  return has.type === wanted.type && coversFields(childrenOf(has), childrenOf(wanted), base);
}

function isWider(has: IcebergType, wanted: IcebergType): boolean {
  return typeof has === "string" && typeof wanted === "string" && isPromotion(wanted, has);
}
