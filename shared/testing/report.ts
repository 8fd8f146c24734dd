import type { ErrorCode } from "../contract/error-codes.ts";
import { MillraceError } from "../contract/errors.ts";

/** One trap that a check found. */
export interface Problem {
  /** One of docs/testing.md. */
  readonly code: string;
  /** What was seen. */
  readonly message: string;
  /** The way out. */
  readonly hint: string;
}

/** What a check that found nothing has done. */
export interface CheckReport {
  /** What was tried, in order. */
  readonly checked: readonly string[];
  /** What could not be tried, and why. */
  readonly notChecked: readonly string[];
}

/** Thrown by a check that found traps: `problems` has each of them. Its message names all. */
export class CheckError extends MillraceError {
  /** What was found, in the order in which it was. */
  readonly problems: readonly Problem[];

  constructor(what: string, problems: readonly Problem[]) {
    const list = problems.map(({ code, message, hint }) => `- ${code}: ${message}\n  ${hint}`);
    super("CHECK_FAILED", `${what} has ${problems.length} of the known traps:\n${list.join("\n")}`, {
      hint: "Each of them loses or doubles rows sooner or later: docs/testing.md explains them.",
    });
    this.name = "CheckError";
    this.problems = problems;
  }
}

/** A trap, with a code that docs/errors.md has. */
export interface Trapped extends Problem {
  readonly code: ErrorCode;
}

/** The code of an error that has none. */
const THREW = "THREW";

/** Gathers what a check finds. */
export class Findings {
  readonly #what: string;
  readonly #problems: Problem[] = [];
  readonly #checked: string[] = [];
  readonly #notChecked: string[] = [];

  constructor(what: string) {
    this.#what = what;
  }

  /**
   * Runs one check. An error that it throws is a finding, `named` if it is known what it means;
   * `false` says that what follows cannot be tried.
   */
  async check(what: string, body: () => Promise<void>, named?: Omit<Trapped, "message">): Promise<boolean> {
    this.#checked.push(what);
    try {
      await body();
      return true;
    } catch (error) {
      this.#add(
        named === undefined
          ? problemOf(error, what)
          : { ...named, message: `${what} threw ${textOf(error)}` },
      );
      return false;
    }
  }

  add(problem: Trapped): void {
    this.#add(problem);
  }

  #add(problem: Problem): void {
    // The first sight of a trap says all; errors without a code of their own are told apart by
    // their text.
    const isKnown = ({ code, message }: Problem) =>
      code === problem.code && (code !== THREW || message === problem.message);
    if (!this.#problems.some(isKnown)) this.#problems.push(problem);
  }

  skip(what: string): void {
    this.#notChecked.push(what);
  }

  /** Error: `CHECK_FAILED`. */
  report(): CheckReport {
    if (this.#problems.length > 0) throw new CheckError(this.#what, this.#problems);
    return { checked: this.#checked, notChecked: this.#notChecked };
  }
}

/** The kit runs in the user's own tests: what an error says of its rows is shown there. */
function problemOf(error: unknown, doing: string): Problem {
  if (!MillraceError.is(error)) {
    return {
      code: THREW,
      message: `${doing}: ${textOf(error)}`,
      hint: `It came of ${doing}: the engine would fail there, too. The error is your own code's, or that of a library it calls.`,
    };
  }
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
  const found = error.found === undefined ? "" : ` (found: ${error.found})`;
  return {
    code: error.code,
    message: `${error.message}${found}${cause}`,
    hint: error.hint ?? `It was thrown by: ${doing}.`,
  };
}

/** What was thrown, with its class, or its code. */
export function textOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
