import { MillraceError } from "../../shared/contract/errors.ts";
import type { StackTarget } from "./deployed.ts";
import { homeTarget } from "./home.ts";
import type { Target } from "./target.ts";

/** The flags that choose a home, a stack or a table. */
export interface TargetFlags {
  readonly home: string;
  readonly stack?: string;
  readonly table?: string;
}

/** Calls `body` with the target that the flags choose, and closes the target afterwards. */
export async function withTarget<T>(flags: TargetFlags, body: (target: Target) => Promise<T>): Promise<T> {
  const target = await openTarget(flags);
  try {
    return await body(target);
  } finally {
    target.close();
  }
}

/**
 * Returns the stack of `--stack`, or `undefined` for a local command. Error: `USAGE` if only
 * `--table` is given.
 */
export async function openStack(flags: TargetFlags): Promise<StackTarget | undefined> {
  if (flags.stack !== undefined) {
    // Loaded on demand because loading the AWS SDK takes longer than most local commands.
    const { stackTarget } = await import("./deployed.ts");
    return await stackTarget(flags.stack);
  }
  if (flags.table === undefined) return undefined;
  throw new MillraceError("USAGE", "a table alone cannot run anything: this command needs --stack", {
    hint: "Name the CloudFormation stack that deploys the pipeline: --stack NAME.",
  });
}

async function openTarget(flags: TargetFlags): Promise<Target> {
  if (flags.table === undefined) return (await openStack(flags)) ?? (await homeTarget(flags.home));
  const { tableTarget } = await import("./deployed.ts");
  return tableTarget(flags.table);
}
