import { MillraceError } from "./errors.ts";
import type { OnSchemaChange } from "./write/write-info.ts";

const CHOICES: ReadonlySet<string> = new Set<OnSchemaChange>(["fail", "evolve", "ignore"]);

/** Returns the choice of this name, ignoring case. Throws `ON_SCHEMA_CHANGE_INVALID`. */
export function checkOnSchemaChange(choice: string): OnSchemaChange {
  const lower = String(choice).toLowerCase();
  if (CHOICES.has(lower)) return lower as OnSchemaChange;
  throw new MillraceError("ON_SCHEMA_CHANGE_INVALID", `"${choice}" is no choice of .onSchemaChange()`, {
    hint: `Write one of ${[...CHOICES].map((name) => `.onSchemaChange("${name}")`).join(", ")}.`,
  });
}
