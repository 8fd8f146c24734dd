import type { ErrorCode } from "../contract/error-codes.ts";
import { MillraceError } from "../contract/errors.ts";

/** One problem that a check found. */
export interface Problem {
  /** A code from docs/testing.md. */
  readonly code: string;
  /** What the check observed. */
  readonly message: string;
  /** Advice on how to fix the problem. */
  readonly hint: string;
}

/** The report of a check that found no problem. */
export interface CheckReport {
  /** The steps that were run, in order. */
  readonly checked: readonly string[];
  /** The steps that could not be run, with the reason. */
  readonly notChecked: readonly string[];
}

/** The error of a check that found problems. `problems` has each of them; the message lists all. */
export class CheckError extends MillraceError {
  /** The problems in the order in which they were found. */
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

/** A problem whose code is listed in docs/errors.md. */
export interface CodedProblem extends Problem {
  readonly code: ErrorCode;
}

/** The code for errors that are not a `MillraceError`. */
const THREW = "THREW";

/** Collects the findings of a check. */
export class Findings {
  readonly #what: string;
  readonly #problems: Problem[] = [];
  readonly #checked: string[] = [];
  readonly #notChecked: string[] = [];

  constructor(what: string) {
    this.#what = what;
  }

  /**
   * Runs one step. If it throws, adds a problem and returns false. `named` is the problem to add if
   * its cause is known; otherwise the problem is made from the error.
   */
  async check(
    what: string,
    body: () => Promise<void>,
    named?: Omit<CodedProblem, "message">,
  ): Promise<boolean> {
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

  add(problem: CodedProblem): void {
    this.#add(problem);
  }

  #add(problem: Problem): void {
    // Each code is reported only once. Errors without a code are distinguished by their message.
    const isKnown = ({ code, message }: Problem) =>
      code === problem.code && (code !== THREW || message === problem.message);
    if (!this.#problems.some(isKnown)) this.#problems.push(problem);
  }

  skip(what: string): void {
    this.#notChecked.push(what);
  }

  /** Returns the report. Error: `CHECK_FAILED` if there are problems. */
  report(): CheckReport {
    if (this.#problems.length > 0) throw new CheckError(this.#what, this.#problems);
    return { checked: this.#checked, notChecked: this.#notChecked };
  }
}

/**
 * Converts an error to a problem. It includes row values, because the check runs only in the user's
 * own tests.
 */
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

/** Formats what was thrown, with the name of its class. */
export function textOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
