import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import type { SecretReference } from "../shared/aws/settings.ts";
import { MillraceError } from "../shared/contract/errors.ts";

/** How long secrets are cached. A rotated secret is seen after this time. */
const KEPT_MILLISECONDS = 5 * 60_000;

/** Reads secrets when they are first needed, and caches them in memory. */
export class Secrets {
  readonly #references: Readonly<Record<string, SecretReference>>;
  readonly #now: () => number;
  #values: Readonly<Record<string, string>> = {};
  #readAt = Number.NEGATIVE_INFINITY;

  constructor(references: Readonly<Record<string, SecretReference>>, now: () => number) {
    this.#references = references;
    this.#now = now;
  }

  /** Returns the values by name. Error: `SECRET_UNAVAILABLE`. */
  async read(): Promise<Readonly<Record<string, string>>> {
    const references = Object.entries(this.#references);
    if (references.length === 0 || this.#now() - this.#readAt < KEPT_MILLISECONDS) return this.#values;
    const values = await Promise.all(
      references.map(async ([name, reference]) => [name, await readSecret(name, reference)] as const),
    );
    this.#values = Object.fromEntries(values);
    this.#readAt = this.#now();
    return this.#values;
  }
}

let secretsManager: SecretsManagerClient | undefined;
let parameterStore: SSMClient | undefined;

async function readSecret(name: string, reference: SecretReference): Promise<string> {
  let value: string | undefined;
  try {
    if ("parameter" in reference) {
      parameterStore ??= new SSMClient({});
      const parameter = new GetParameterCommand({ Name: reference.parameter, WithDecryption: true });
      value = (await parameterStore.send(parameter)).Parameter?.Value;
    } else {
      secretsManager ??= new SecretsManagerClient({});
      const secret = new GetSecretValueCommand({ SecretId: reference.secret });
      value = fieldOf((await secretsManager.send(secret)).SecretString, reference.field);
    }
  } catch (error) {
    throw unavailable(name, reference, error instanceof Error ? error.name : "unknown error");
  }
  if (value !== undefined) return value;
  throw unavailable(name, reference, "it has no such text");
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
