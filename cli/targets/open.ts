import { MillraceError } from "../../shared/contract/errors.ts";
import type { StackTarget } from "./deployed.ts";
import { homeTarget } from "./home.ts";
import type { Target } from "./target.ts";

/** The flags that say where pipelines are. */
export interface TargetFlags {
  readonly home: string;
  readonly stack?: string;
  readonly table?: string;
}

/** Does `body` with the target that the flags name. */
export async function withTarget<T>(flags: TargetFlags, body: (target: Target) => Promise<T>): Promise<T> {
  const target = await openTarget(flags);
  try {
    return await body(target);
  } finally {
    target.close();
  }
}

/**
 * The stack of `--stack`; `undefined` if the command is to work here. Error: `USAGE` if there is
 * only `--table`.
 */
export async function openStack(flags: TargetFlags): Promise<StackTarget | undefined> {
  if (flags.stack !== undefined) {
    // The AWS SDK is loaded only when it is needed: it takes longer than most commands here.
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
