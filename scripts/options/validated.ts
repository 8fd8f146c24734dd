import * as z from "zod";
import { keyOf } from "./declared.ts";

/** An option as the schema that validates it knows it. */
export interface ValidatedOption {
  readonly isRequired: boolean;
  /** The default as JSON text, if the schema has one. */
  readonly default: string | undefined;
}

interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: JsonSchema | boolean;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly allOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly const?: unknown;
  readonly default?: unknown;
}

/** Returns the options of a schema by their `keyOf`. */
export function validatedOptions(schema: z.ZodType): Map<string, ValidatedOption> {
  const options = new Map<string, ValidatedOption>();
  collect(
    z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as JsonSchema,
    { prefix: "" },
    options,
  );
  return options;
}

interface Place {
  readonly prefix: string;
  readonly kind?: string | undefined;
}

function collect(schema: JsonSchema, place: Place, options: Map<string, ValidatedOption>): void {
  const { properties = {}, required = [], additionalProperties, items } = schema;
  const { prefix, kind = properties["type"]?.const as string | undefined } = place;
  const isFromEnvironment = Object.keys(properties).join() === "env";
  for (const [name, property] of isFromEnvironment ? [] : Object.entries(properties)) {
    if (name === "type" && property.const !== undefined) continue;
    const path = `${prefix}${name}`;
    const text = property.default === undefined ? undefined : JSON.stringify(property.default);
    options.set(keyOf(path, kind), { isRequired: required.includes(name), default: text });
    collect(property, { prefix: `${path}.`, kind }, options);
  }
  if (typeof additionalProperties === "object")
    collect(additionalProperties, { prefix: `${prefix}<name>.`, kind }, options);
  if (items !== undefined) collect(items, place, options);
  for (const part of [schema.anyOf, schema.oneOf, schema.allOf].flatMap((parts) => parts ?? [])) {
    collect(part, place, options);
  }
}
