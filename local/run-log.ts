import { appendFileSync, chmodSync, existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { concealMembers, concealSecrets, type NamedSecret, SECRET_NAME } from "../shared/contract/conceal.ts";
import { causeOf, MillraceError } from "../shared/contract/errors.ts";
import type { Pipeline } from "../shared/contract/pipeline.ts";
import type { RunEvent } from "../shared/engine/ports/run-events.ts";
import { systemCodeOf } from "../shared/platform/embedded/advice.ts";

/** A log that is larger is put aside, and the one that was put aside before is removed. */
const MOST_BYTES = 5 * 1024 * 1024;
const OWNER_ONLY = 0o600;
/** Shorter values, such as "on", are no secrets, and would be found everywhere. */
const SHORTEST_SECRET = 6;
const LONGEST_TEXT = 16 * 1024;

/** These events come so often that a log would have little else. */
const NOT_LOGGED: ReadonlySet<RunEvent["type"]> = new Set(["progress", "partition", "batchProgress"]);
/** Events that are repeated at each interval. Only the first one in a row is logged. */
const REPEATED: ReadonlySet<RunEvent["type"]> = new Set(["idle", "paused"]);

interface RunLogOptions {
  readonly path: string;
  readonly secrets: readonly NamedSecret[];
  readonly now: () => number;
  /** Called once if the log cannot be written. The run goes on without it. */
  onFailed(error: MillraceError): void;
}

/**
 * The log of a pipeline's runs on this machine: one JSON object a line, with its time. It keeps
 * what the ledger must not: the messages of the user's errors and the values that they were about
 * (docs/adr/0036). So only its owner may read it, and secrets are concealed.
 */
export class RunLog {
  readonly #options: RunLogOptions;
  #isBroken = false;
  #last: RunEvent["type"] | undefined;

  constructor(options: RunLogOptions) {
    this.#options = options;
  }

  /** Logs an event, unless it is one of those that come all the time. */
  event(event: RunEvent): void {
    const isRepeated = REPEATED.has(event.type) && event.type === this.#last;
    if (NOT_LOGGED.has(event.type) || isRepeated) return;
    this.#last = event.type;
    this.#write(event);
  }

  /** Logs the error with which the run fails, with its cause and the stack of the cause. */
  error(thrown: unknown): void {
    const error = MillraceError.is(thrown) ? thrown : undefined;
    const unknown = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    this.#write({
      type: "error",
      ...(error?.toRecord() ?? { code: "UNEXPECTED", message: unknown, where: {} }),
      ...detailsOf(error),
    });
  }

  #write(entry: object): void {
    if (this.#isBroken) return;
    const { path, now, secrets, onFailed } = this.#options;
    const time = new Date(now()).toISOString();
    const line = JSON.stringify({ time, ...(withoutSecrets(entry, secrets) as object) });
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      rotate(path);
      const isNew = !existsSync(path);
      appendFileSync(path, `${line}\n`, { mode: OWNER_ONLY });
      // A mask of the process may have taken rights away that the owner needs.
      if (isNew) chmodSync(path, OWNER_ONLY);
    } catch (error) {
      this.#isBroken = true;
      onFailed(logFailed(path, error));
    }
  }
}

function logFailed(path: string, cause: unknown): MillraceError {
  const code = systemCodeOf(cause) ?? "unknown cause";
  return new MillraceError("STORE_FAILED", `the log of the run cannot be written: ${code}`, {
    where: { path },
    hint: "The run goes on without it. Make the file writable, or run with `--no-log`.",
    cause,
  });
}

function detailsOf(error: MillraceError | undefined): object {
  const cause = error && causeOf(error);
  return {
    ...(error?.found === undefined ? {} : { found: error.found }),
    ...(cause === undefined ? {} : { cause }),
  };
}

/** The file that an older part of the log is put into. */
export function olderLog(path: string): string {
  return `${path}.1`;
}

function rotate(path: string): void {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > MOST_BYTES) renameSync(path, olderLog(path));
}

/** Returns the value with secrets replaced in all of its texts. */
function withoutSecrets(value: unknown, secrets: readonly NamedSecret[]): unknown {
  if (typeof value === "string") {
    // It is cut once more afterwards, because a secret that the first cut divides is not found.
    const text = concealSecrets(value.slice(0, 2 * LONGEST_TEXT), secrets);
    return concealMembers(text).replace(USER_OF_URL, "$1…@").slice(0, LONGEST_TEXT);
  }
  if (Array.isArray(value)) return value.map((each) => withoutSecrets(each, secrets));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, withoutSecrets(each, secrets)]),
  );
}

/** User and password in a URL. */
const USER_OF_URL = /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi;

/**
 * Returns the secrets that a pipeline may have: the environment variables that its options name,
 * those whose names say that they are secrets, and options whose names say so.
 */
export function secretsOf(
  { source, sink }: Pick<Pipeline, "source" | "sink">,
  env: Readonly<Record<string, string | undefined>>,
): readonly NamedSecret[] {
  const named = new Set<string>([
    "MILLRACE_ON_FAILURE_URL",
    ...Object.keys(env).filter((name) => isSecretName(name)),
  ]);
  const given: NamedSecret[] = [];
  const look = (value: unknown, name: string): void => {
    if (typeof value === "string" && isSecretName(name)) given.push({ name: `option:${name}`, value });
    if (typeof value !== "object" || value === null) return;
    for (const [key, each] of Object.entries(value)) {
      if (key === "env" && typeof each === "string") named.add(each);
      else look(each, key);
    }
  };
  look(source.options, "");
  look(sink.options, "");
  const fromEnv = [...named].map((name) => ({ name: `env:${name}`, value: env[name] ?? "" }));
  return [...fromEnv, ...given].filter(({ value }) => value.length >= SHORTEST_SECRET);
}

function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) || /passw|_key$|^pgpass/i.test(name);
}
