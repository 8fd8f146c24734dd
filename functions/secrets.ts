import type { SecretReference } from "../shared/aws/settings.ts";
import { MillraceError } from "../shared/contract/errors.ts";
import { loadOptional } from "../shared/contract/optional-package.ts";

/** How long secrets are cached. A rotated secret is seen after this time. */
const KEPT_MILLISECONDS = 5 * 60_000;

/** Reads secrets when they are first needed, and caches them in memory. */
export class Secrets {
  readonly #references: Readonly<Record<string, SecretReference>>;
  readonly #monotonic: () => number;
  #values: Readonly<Record<string, string>> = {};
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(references: Readonly<Record<string, SecretReference>>, monotonic: () => number) {
    this.#references = references;
    this.#monotonic = monotonic;
  }

  /** Returns the values by name. Error: `SECRET_UNAVAILABLE`. */
  async read(): Promise<Readonly<Record<string, string>>> {
    const references = Object.entries(this.#references);
    if (references.length === 0 || this.#monotonic() - this.#readAt < KEPT_MILLISECONDS) return this.#values;
    const values = await Promise.all(
      references.map(async ([name, reference]) => [name, await readSecret(name, reference)] as const),
    );
    this.#values = Object.fromEntries(values);
    this.#readAt = this.#monotonic();
    return this.#values;
  }
}

async function readSecret(name: string, reference: SecretReference): Promise<string> {
  let value: string | undefined;
  try {
    value = await lookUp(reference);
  } catch (error) {
    if (MillraceError.is(error)) throw error;
    throw unavailable(name, reference, error instanceof Error ? error.name : "unknown error");
  }
  if (value !== undefined) return value;
  throw unavailable(name, reference, "it has no such text");
}

/** Reads a secret or a parameter. Error: `DEPENDENCY_MISSING`. */
async function lookUp(reference: SecretReference): Promise<string | undefined> {
  if ("parameter" in reference) {
    const load = () => import("./parameter-store.ts");
    const { parameterValue } = await loadOptional("@aws-sdk/client-ssm", load);
    return await parameterValue(reference.parameter);
  }
  const load = () => import("./secrets-manager.ts");
  const { secretText } = await loadOptional("@aws-sdk/client-secrets-manager", load);
  return fieldOf(await secretText(reference.secret), reference.field);
}

/** Returns a field of a JSON secret, or the whole text if no field is named. */
function fieldOf(text: string | undefined, field: string | undefined): string | undefined {
  if (text === undefined || field === undefined) return text;
  const value = (JSON.parse(text) as Record<string, unknown>)[field];
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}

/** Creates the error without its cause, because an error of `JSON.parse` quotes the secret. */
function unavailable(name: string, reference: SecretReference, problem: string): MillraceError {
  const place =
    "parameter" in reference
      ? `parameter ${reference.parameter}`
      : `secret ${reference.secret}${reference.field === undefined ? "" : `, field ${reference.field}`}`;
  return new MillraceError("SECRET_UNAVAILABLE", `${name} cannot be read from ${place}: ${problem}`, {
    hint: "Check that it exists, that it holds what the construct's `secrets` say, and that its KMS key lets the functions decrypt.",
    retryable: true,
  });
}
