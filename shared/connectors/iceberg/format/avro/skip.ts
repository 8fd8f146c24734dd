import type { Read } from "./input.ts";
import type { AvroType } from "./schema.ts";

/** Returns a function that moves behind a value that nobody needs. */
export function skipper(type: AvroType): Read<void> {
  switch (type.kind) {
    case "null":
      return () => undefined;
    case "string":
    case "bytes":
      return (input) => input.skipBytes();
    case "boolean":
      return (input) => input.skip(1);
    case "float":
      return (input) => input.skip(4);
    case "double":
      return (input) => input.skip(8);
    case "fixed":
      return (input) => input.skip(type.size);
    case "record":
      return recordSkipper(type.fields.map((field) => skipper(field.type)));
    case "array":
      return itemsSkipper(skipper(type.items), type.items.least);
    case "map":
      return mapSkipper(skipper(type.values), type.values.least);
    case "union":
      return unionSkipper(type.branches.map(skipper));
    default:
      return (input) => {
        input.long();
      };
  }
}

function recordSkipper(fields: readonly Read<void>[]): Read<void> {
  return (input) => {
    for (const skip of fields) skip(input);
  };
}

function itemsSkipper(skip: Read<void>, least: number): Read<void> {
  return (input) => input.items(least, () => skip(input));
}

function mapSkipper(skip: Read<void>, least: number): Read<void> {
  return (input) =>
    input.items(1 + least, () => {
      input.skipBytes();
      skip(input);
    });
}

function unionSkipper(branches: readonly Read<void>[]): Read<void> {
  return (input) => {
    const skip = branches[input.count()];
    if (skip === undefined) throw input.damaged(`a union has only ${branches.length} types`);
    skip(input);
  };
}
