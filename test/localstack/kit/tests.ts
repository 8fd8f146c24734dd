import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PROJECT, RESULTS } from "./paths.ts";
import { exitCode } from "./processes.ts";

/** Runs vitest against a LocalStack and gives its exit code. */
export async function runTests(
  endpoint: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  signal.throwIfAborted();
  // Of this run: what its test files share, and by its name how they know what an earlier one of
  // them has made.
  const folder = mkdtempSync(join(tmpdir(), "millrace-run-"));
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${RESULTS}`];
  const vitest = [join(PROJECT, "node_modules/vitest/vitest.mjs"), "run"];
  const flags = ["--config", "vitest.localstack.config.ts", ...reporters, ...args];
  const child = spawn(process.execPath, [...vitest, ...flags], {
    cwd: PROJECT,
    env: { ...process.env, ...awsEnvironment(endpoint), LOCALSTACK_RUN: folder },
    stdio: ["ignore", "inherit", "inherit"],
  });
  const end = () => child.kill("SIGTERM");
  signal.addEventListener("abort", end);
  const code = await exitCode(child);
  signal.removeEventListener("abort", end);
  rmSync(folder, { recursive: true, force: true });
  signal.throwIfAborted();
  return code;
}

/**
 * Nothing of the person's own AWS configuration is used: the tests can only ever reach LocalStack.
 */
function awsEnvironment(endpoint: string): Record<string, string | undefined> {
  return {
    AWS_ENDPOINT_URL: endpoint,
    AWS_ACCESS_KEY_ID: "test",
    AWS_SECRET_ACCESS_KEY: "test",
    AWS_SESSION_TOKEN: undefined,
    AWS_PROFILE: undefined,
    AWS_REGION: "us-east-1",
    AWS_DEFAULT_REGION: "us-east-1",
    AWS_EC2_METADATA_DISABLED: "true",
    NO_PROXY: "127.0.0.1,localhost",
    no_proxy: "127.0.0.1,localhost",
  };
}
