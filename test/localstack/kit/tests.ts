import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PROJECT, RESULTS } from "./paths.ts";
import { exitCode } from "./processes.ts";

/** Runs vitest against a LocalStack and returns its exit code. */
export async function runTests(
  endpoint: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<number> {
  signal.throwIfAborted();
  // The folder of this test run contains files that the test files share. Stacks are tagged with
  // its path, so that the tests know which stacks this run has deployed.
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
 * Returns an environment without the user's own AWS configuration, so that the tests can only reach
 * LocalStack.
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
