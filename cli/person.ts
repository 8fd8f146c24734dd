import { hostname, userInfo } from "node:os";
import { createInterface } from "node:readline/promises";
import { runtime } from "../local/home.ts";
import { MillraceError } from "../shared/contract/errors.ts";
import type { Action } from "../shared/engine/ports/manual-operations.ts";
import { EXIT } from "./exit-codes.ts";
import { printJson, printLine, tellLine } from "./render/terminal.ts";

/** The flags of commands that change a pipeline by hand. */
export interface ActionFlags {
  readonly by?: string;
  readonly why?: string;
}

/** The flags of commands that ask for confirmation. */
export interface ConsentFlags {
  readonly yes?: boolean;
  readonly dryRun?: boolean;
}

/** Returns an action of an operator: the person, the reason, and the current time. */
export function actionOf({ by, why }: ActionFlags): Action {
  return {
    by: by ?? `${userName()}@${hostname()}`,
    at: runtime.now(),
    ...(why === undefined ? {} : { why }),
  };
}

/** Returns an action in the form that `--json` prints. */
export function withIsoTime<T extends { readonly at: number }>(
  action: T,
): Omit<T, "at"> & { readonly at: string } {
  return { ...action, at: new Date(action.at).toISOString() };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // In a container, the user may have no name.
    return String(process.getuid?.() ?? "unknown");
  }
}

/** A change that the user must confirm. */
export interface ManualChange {
  /** Description of the change, printed before the question. */
  readonly shown: string;
  readonly question: string;
  /** Text that is printed after the change. */
  readonly done: string;
  /** The result that `--json` prints. */
  readonly result: object;
  apply(): Promise<void>;
}

/**
 * Shows a change, asks for confirmation, and applies the change. Returns the exit code. Error:
 * `USAGE` if there is no terminal to ask on.
 */
export async function withConsent(
  change: ManualChange,
  flags: ConsentFlags & { readonly json?: boolean },
): Promise<number> {
  const isDryRun = flags.dryRun ?? false;
  (flags.json ? tellLine : printLine)(change.shown);
  if (!isDryRun) {
    if (!(flags.yes || (await confirm(change.question)))) {
      tellLine("nothing was changed");
      return EXIT.failed;
    }
    await change.apply();
    if (!flags.json) printLine(change.done);
  }
  if (flags.json) printJson({ ...change.result, dryRun: isDryRun });
  return EXIT.ok;
}

async function confirm(question: string): Promise<boolean> {
  if (!process.stdin.isTTY) {
    throw new MillraceError("USAGE", "this changes the pipeline, and there is no terminal to ask on", {
      hint: "Look with --dry-run; then give --yes.",
    });
  }
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await terminal.question(`${question} [y/N] `)).trim());
  } finally {
    terminal.close();
  }
}
