import { MillraceError } from "../../../contract/errors.ts";
import { leavesOf, nameOf, pathByName, pathOf } from "./schema.ts";
import { parseTransform, resultType, type Transform } from "./transforms.ts";
import type { IcebergSchema, NestedField, PartitionField, PartitionSpec, PrimitiveType } from "./types.ts";

/** The id of the first field of a new table's partition spec. */
const FIRST_PARTITION_ID = 1000;

/** A field of a partition spec with the type of its values. */
export interface PartitionType {
  readonly id: number;
  readonly name: string;
  readonly type: PrimitiveType;
}

/**
 * Returns the partition fields that texts stand for: a column, or a transform of one as in Spark,
 * such as `day(time)`, `days(time)`, `bucket(16, id)` or `truncate(4, name)`. Fields are named as
 * Iceberg's Java library names them. Throws `PARTITIONS_INVALID`.
 */
export function parsePartitionFields(texts: readonly string[], schema: IcebergSchema): PartitionField[] {
  const fields: PartitionField[] = [];
  for (const text of texts) {
    const { transform, column } = parsedText(text);
    const path = pathByName(schema, column);
    const source = path?.at(-1);
    if (path === undefined || source === undefined) {
      const known = [...leavesOf(schema)].filter(({ isRepeated }) => !isRepeated).map(({ name }) => name);
      throw invalid(text, `there is no column "${column}"`, `The columns are ${known.join(", ")}.`);
    }
    checkSource(text, transform, path);
    const field = {
      "source-id": source.id,
      "field-id": FIRST_PARTITION_ID + fields.length,
      name: fieldName(transform, nameOf(path)),
      transform: transformText(transform),
    };
    checkUnique(text, field, fields, schema);
    fields.push(field);
  }
  return fields;
}

/** The transforms as users write them. Spark has each time transform in plural, too. */
const KINDS: Readonly<Record<string, Transform["kind"]>> = {
  year: "year",
  years: "year",
  month: "month",
  months: "month",
  day: "day",
  days: "day",
  date: "day",
  hour: "hour",
  hours: "hour",
  bucket: "bucket",
  truncate: "truncate",
  identity: "identity",
};

function parsedText(text: string): { readonly transform: Transform; readonly column: string } {
  const call = /^\s*([a-z]+)\s*\((.*)\)\s*$/i.exec(text);
  if (call === null) return { transform: { kind: "identity" }, column: unquoted(text) };
  const kind = KINDS[(call[1] as string).toLowerCase()];
  if (kind === undefined) {
    throw invalid(
      text,
      `"${call[1]}" is no transform`,
      "The transforms are year, month, day, hour, bucket(N, column), truncate(N, column) and identity.",
    );
  }
  const argument = call[2] as string;
  if (kind !== "bucket" && kind !== "truncate") {
    return { transform: { kind } as Transform, column: unquoted(argument) };
  }
  const widthFirst = /^\s*(\d+)\s*,(.*)$/s.exec(argument);
  const widthLast = /^(.*),\s*(\d+)\s*$/s.exec(argument);
  const [width, column] = widthFirst ? widthFirst.slice(1) : [widthLast?.[2], widthLast?.[1]];
  if (width === undefined || column === undefined || !isWidth(Number(width))) {
    throw invalid(text, "it needs a number and a column", `Write ${kind}(16, column), for example.`);
  }
  return { transform: { kind, width: Number(width) }, column: unquoted(column) };
}

function isWidth(width: number): boolean {
  return width > 0 && width <= 0x7fffffff;
}

/** Returns a column's name without blanks and backticks around it. */
function unquoted(column: string): string {
  const name = column.trim();
  return /^`(?:[^`]|``)+`$/.test(name) ? name.slice(1, -1).replaceAll("``", "`") : name;
}

function transformText(transform: Transform): string {
  return "width" in transform ? `${transform.kind}[${transform.width}]` : transform.kind;
}

function checkSource(text: string, transform: Transform, path: readonly NestedField[]): void {
  const repeated = path.slice(0, -1).find(({ type }) => typeof type === "object" && type.type !== "struct");
  if (repeated !== undefined) {
    throw invalid(text, `"${repeated.name}" is a list or map`, "Choose a column with one value a row.");
  }
  const { type } = path.at(-1) as NestedField;
  if (typeof type === "string" && resultType(transform, type) !== undefined) return;
  const name = typeof type === "string" ? type : type.type;
  throw invalid(
    text,
    `${transform.kind} does not take ${name}`,
    "year, month and day take dates and timestamps, hour takes timestamps, truncate takes numbers without fraction, decimals, strings and binaries, and bucket takes all but boolean, float and double.",
  );
}

const SUFFIXES: Readonly<Record<Transform["kind"], string>> = {
  identity: "",
  void: "_null",
  bucket: "_bucket",
  truncate: "_trunc",
  year: "_year",
  month: "_month",
  day: "_day",
  hour: "_hour",
};

function fieldName(transform: Transform, column: string): string {
  return `${column}${SUFFIXES[transform.kind]}`;
}

/** Throws if Iceberg's Java library would refuse the field beside the others. */
function checkUnique(
  text: string,
  field: PartitionField,
  others: readonly PartitionField[],
  schema: IcebergSchema,
): void {
  const same = others.find((other) => isSameDivision(field, other));
  if (same !== undefined) {
    throw invalid(
      text,
      `the table is divided by ${same.transform} of that column already`,
      "Name a column once; the finest of year, month, day and hour is enough.",
    );
  }
  const column = pathByName(schema, field.name)?.at(-1);
  const isTaken = column !== undefined && field.transform !== "identity";
  if (isTaken || others.some(({ name }) => name === field.name)) {
    throw invalid(text, `the name "${field.name}" is taken`, "Give the column of that name another name.");
  }
}

function isSameDivision(one: PartitionField, other: PartitionField): boolean {
  if (one["source-id"] !== other["source-id"]) return false;
  const isTime = ({ transform }: PartitionField) => /^(?:year|month|day|hour)$/.test(transform);
  return one.transform === other.transform || (isTime(one) && isTime(other));
}

function invalid(text: string, problem: string, hint: string): MillraceError {
  return new MillraceError("PARTITIONS_INVALID", `the partition field "${text}": ${problem}`, { hint });
}

/**
 * Returns the types of the partition tuples of a spec. Throws `TRANSFORM_NOT_SUPPORTED` if a field
 * cannot be computed from the schema's columns.
 */
export function partitionTypes(spec: PartitionSpec, schema: IcebergSchema): PartitionType[] {
  return spec.fields.map((field) => {
    const source = pathOf(schema, field["source-id"])?.at(-1);
    const transform = parseTransform(field.transform);
    const type = typeof source?.type === "string" ? resultType(transform, source.type) : undefined;
    if (type !== undefined) return { id: field["field-id"], name: field.name, type };
    throw new MillraceError(
      "TRANSFORM_NOT_SUPPORTED",
      `the partition field "${field.name}" is ${field.transform} of the column with id ${field["source-id"]}, ${
        source === undefined ? "which the schema does not have" : "which the transform does not take"
      }`,
      {
        hint: "Write to another table, or change the partition spec with another engine, and `millrace run` again.",
      },
    );
  });
}
