import type { z } from "zod";
import { MillraceError } from "../contract/errors.ts";

/** `options` as `schema` reads them, or one `OPTIONS_INVALID` error that names all that is wrong with them. */
export function parseOptions<T>(dataSource: string, schema: z.ZodType<T>, options: unknown): T {
  const result = schema.safeParse(options);
  if (result.success) return result.data;
  const problems = result.error.issues.map(
    (issue) => `${issue.path.join(".") || "options"}: ${issue.message}`,
  );
  throw new MillraceError("OPTIONS_INVALID", `${dataSource} cannot use its options: ${problems.join("; ")}`, {
    hint: `Correct the options of .format(${dataSource}) in the pipeline.`,
  });
}
