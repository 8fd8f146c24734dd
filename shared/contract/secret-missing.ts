import { MillraceError } from "./errors.ts";

/**
 * The error of environment variables that are not set. `dataSource` is the one whose options name
 * them.
 */
export function secretMissing(names: readonly string[], dataSource: string): MillraceError {
  const [variable, are, it] = names.length === 1 ? ["variable", "is", "it"] : ["variables", "are", "them"];
  const list = names.join(", ");
  return new MillraceError("SECRET_MISSING", `the environment ${variable} ${list} ${are} not set`, {
    hint: `Set ${list} where the pipeline runs; the options of ${dataSource} name ${it}.`,
  });
}
