import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { MillraceError } from "../../shared/contract/errors.ts";

/**
 * `millrace deploy`: runs the `cdk deploy` of the project and returns its exit code. cdk itself
 * asks for approval.
 */
export async function deployCommand(args: readonly string[]): Promise<number> {
  const child = spawn(findCdk(process.cwd()), ["deploy", ...args], { stdio: "inherit" });
  // Ctrl-C is sent to cdk too, which handles it.
  const ignore = () => undefined;
  process.on("SIGINT", ignore);
  try {
    return await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) =>
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
      );
    });
  } finally {
    process.off("SIGINT", ignore);
  }
}

/** Finds the cdk command in the nearest node_modules, in `folder` or above it. */
function findCdk(folder: string): string {
  for (let at = folder; ; at = dirname(at)) {
    const cdk = join(at, "node_modules/.bin/cdk");
    if (existsSync(cdk)) return cdk;
    if (at === dirname(at)) break;
  }
  throw new MillraceError("CDK_NOT_FOUND", `no AWS CDK is installed in ${folder} or above`, {
    where: { path: folder },
    hint: "npm install --save-dev aws-cdk aws-cdk-lib constructs",
  });
}
