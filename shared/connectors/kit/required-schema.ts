import { MillraceError } from "../../contract/errors.ts";

/**
 * Returns the option `schema` of a JSON source, which cannot infer one. Error: `SCHEMA_REQUIRED`.
 */
export function requiredSchema(schema: string | undefined, dataSource: string, example: string): string {
  if (schema !== undefined) return schema;
  throw new MillraceError(
    "SCHEMA_REQUIRED",
    `${dataSource} does not know the columns of the rows: JSON has no schema`,
    {
      hint: `Set the option schema, or .schema("${example}") on the reading side of the pipeline. \`millrace schema PIPELINE.ts --infer\` proposes one.`,
    },
  );
}
