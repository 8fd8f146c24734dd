import { spawn } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { install } from "../test/localstack/kit/install.ts";
import { ISOLATED, MissingError, requireIsolation } from "../test/localstack/kit/machine.ts";
import { HOME, RESULTS, SOURCES } from "../test/localstack/kit/paths.ts";
import { exitCode } from "../test/localstack/kit/processes.ts";
import { runTests } from "../test/localstack/kit/tests.ts";
import { setUpPython } from "./setup-python.ts";

/**
 * `npm run test:localstack [-- --setup-only] [-- -- VITEST_ARGS]`: installs LocalStack below
 * .cache/localstack, starts it in namespaces for itself, runs the tests of test/localstack, and
 * ends LocalStack. If AWS_ENDPOINT_URL is set, the tests use the LocalStack at that address, and
 * the script neither installs nor starts one. See test/localstack/README.md.
 */

/** Milliseconds that the process inside the namespaces has to end by itself before it is killed. */
const STOP_TIMEOUT = 20_000;

const { values, positionals } = parseArgs({
  options: { "setup-only": { type: "boolean", default: false } },
  allowPositionals: true,
});
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort());

async function main(): Promise<number> {
  rmSync(RESULTS, { force: true }); // An earlier run may have left results.
  const endpoint = process.env["AWS_ENDPOINT_URL"];
  if (endpoint) return await runTests(endpoint, positionals, stop.signal);

  const startedAt = performance.now();
  mkdirSync(HOME, { recursive: true });
  setUpPython(); // The namespaces have no network to install it from.
  await requireIsolation(stop.signal);
  await install(stop.signal);
  console.error(`localstack: set up in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
  return values["setup-only"] ? 0 : await runInside(positionals);
}

/**
 * Runs the tests inside new namespaces. The network namespace is needed because LocalStack 4.14
 * always listens on every interface; it also blocks hidden downloads. The process namespace is
 * needed because the kernel then ends all processes together.
 */
async function runInside(args: readonly string[]): Promise<number> {
  stop.signal.throwIfAborted();
  const withLoopback = ["bash", "-c", 'ip link set lo up && exec "$@"', "bash"];
  const inside = [process.execPath, join(SOURCES, "kit/inside.ts"), ...args];
  const child = spawn("unshare", [...ISOLATED, ...withLoopback, ...inside], {
    stdio: ["pipe", "inherit", "inherit"],
  });
  stop.signal.addEventListener("abort", () => {
    child.stdin?.end(); // unshare does not pass signals on, so the end of stdin stops the process.
    setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT).unref();
  });
  return await exitCode(child);
}

function failed(error: unknown): number {
  if (stop.signal.aborted) return 130;
  if (error instanceof MissingError) {
    console.error(`SKIPPED: the LocalStack tests need ${error.message}`);
    return process.env["CI"] ? 1 : 0; // In CI every test must run.
  }
  console.error(`localstack: ${error instanceof Error ? error.message : String(error)}`);
  return 1;
}

process.exitCode = await main().catch(failed);
