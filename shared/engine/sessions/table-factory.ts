import { type ErrorLocation, MillraceError } from "../../contract/errors.ts";
import { findNonJson, type JsonValue } from "../../contract/json.ts";
import type { TableWrite } from "../ports/ledger.ts";

/** Largest record of a factory, as JSON. The state of a run carries it to each task. */
const MAX_BYTES = 16 * 1024;
/** A factory may also be an object with this function, which each task's own factory has. */
const METHOD = "createWriter";

/**
 * Returns the own fields of a factory, which travel to the tasks. Throws `FACTORY_NOT_JSON` or
 * `FACTORY_TOO_LARGE`.
 */
export function recordedFactory(factory: object, where: ErrorLocation): TableWrite["factory"] {
  const fields = Object.fromEntries(
    Object.entries(factory).filter(([name, value]) => value !== undefined && !isMethod(name, value)),
  );
  const problem = findNonJson(fields, "factory");
  if (problem !== undefined) {
    throw new MillraceError(
      "FACTORY_NOT_JSON",
      `the fields of a writer factory must be JSON values, but it has ${problem}`,
      {
        where,
        hint: "The fields travel to each task as JSON. Keep numbers, strings, lists and plain objects; open connections in createWriter(). A #private field does not travel: each task's own factory sets it anew.",
      },
    );
  }
  const bytes = Buffer.byteLength(JSON.stringify(fields));
  if (bytes <= MAX_BYTES) return fields as Readonly<Record<string, JsonValue>>;
  throw new MillraceError(
    "FACTORY_TOO_LARGE",
    `the fields of a writer factory have ${bytes} bytes as JSON, and ${MAX_BYTES} are the limit`,
    { where, hint: "Keep large data in a file, and its name in the factory." },
  );
}

/** Sets the recorded fields of a factory in place of its own. */
export function restoreFactory(factory: object, recorded: TableWrite["factory"]): void {
  for (const [name, value] of Object.entries(factory))
    if (!isMethod(name, value) && !(name in recorded)) Reflect.deleteProperty(factory, name);
  // Fields may be declared read-only, but a class does not freeze them.
  Object.assign(factory, structuredClone(recorded));
}

function isMethod(name: string, value: unknown): boolean {
  return name === METHOD && typeof value === "function";
}
