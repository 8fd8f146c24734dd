import { type AvroCodec, type AvroJson, nullable, readerOf } from "./codec.ts";
import { AvroFault } from "./fault.ts";
import type { AvroInput, Read } from "./input.ts";
import type { AvroOutput } from "./output.ts";
import { type AvroRecord, type AvroType, findField } from "./schema.ts";
import { skipper } from "./skip.ts";

/** A field of a record, and the property that it is in JavaScript. */
export type RecordField<T> = {
  readonly [K in keyof T & string]: {
    readonly key: K;
    readonly id: number;
    readonly name: string;
    readonly codec: AvroCodec<Exclude<T[K], undefined>>;
    /** The field may be null, and the property absent. */
    readonly optional?: boolean;
    /** The value if a file has no such field, or null in it. */
    readonly missing?: Exclude<T[K], undefined>;
  };
}[keyof T & string];

interface Field {
  readonly key: string;
  readonly id: number;
  readonly name: string;
  readonly codec: AvroCodec<unknown>;
  readonly optional?: boolean;
  readonly missing?: unknown;
}

/**
 * A record. A reader finds its fields by id, or by name if a file has no ids. It skips other
 * fields.
 */
export function record<T extends object>(name: string, fields: readonly RecordField<T>[]): AvroCodec<T> {
  const all = fields as readonly unknown[] as readonly Field[];
  const writers = all.map(({ key, codec, optional }) => {
    const orNull = nullable(codec);
    return optional === true
      ? (output: AvroOutput, value: Record<string, unknown>) => orNull.write(output, value[key] ?? null)
      : (output: AvroOutput, value: Record<string, unknown>) => codec.write(output, value[key]);
  });
  return {
    json: { type: "record", name, fields: all.map(fieldJson) },
    write: (output, value) => {
      for (const write of writers) write(output, value as Record<string, unknown>);
    },
    reader: (type) =>
      readerOf(type, (branch) => {
        if (branch.kind !== "record")
          throw new AvroFault("invalid", `${name} has the type ${branch.kind}, and should be a record`);
        return recordReader(branch, all) as Read<T>;
      }),
  };
}

function fieldJson({ id, name, codec, optional }: Field): AvroJson {
  return optional === true
    ? { name, type: ["null", codec.json], default: null, "field-id": id }
    : { name, type: codec.json, "field-id": id };
}

type Step = (input: AvroInput, into: Record<string, unknown>) => void;

function recordReader(type: AvroRecord, fields: readonly Field[]): Read<unknown> {
  const steps: Step[] = type.fields.map((field) => skipper(field.type));
  const defaults: Record<string, unknown> = {};
  for (const field of fields) {
    const at = findField(type, field.id, field.name);
    const found = at === undefined ? undefined : type.fields[at];
    if (field.missing !== undefined) defaults[field.key] = field.missing;
    if (at !== undefined && found !== undefined) steps[at] = fieldReader(field, found.type);
    else if (field.optional !== true && field.missing === undefined)
      throw new AvroFault("invalid", `the field ${field.name} (${field.id}) is missing`);
  }
  return (input) => {
    const value = { ...defaults };
    for (const step of steps) step(input, value);
    return value;
  };
}

function fieldReader(field: Field, type: AvroType): Step {
  const { key, name } = field;
  try {
    const read = nullable(field.codec).reader(type);
    const isRequired = field.optional !== true && field.missing === undefined;
    return (input, into) => {
      const value = read(input);
      if (value !== null) into[key] = value;
      else if (isRequired) throw new AvroFault("invalid", `${name} is null, ${input.place()}`);
    };
  } catch (error) {
    if (error instanceof AvroFault) throw new AvroFault(error.kind, `${name}: ${error.message}`);
    throw error;
  }
}
