import { ENDPOINT, LocalStack } from "./server.ts";
import { runTests } from "./tests.ts";

/**
 * The first process in the namespaces that scripts/localstack.ts creates. It starts LocalStack,
 * runs vitest with this program's arguments, and ends LocalStack. When it exits, the kernel kills
 * all other processes in the namespaces.
 */

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort());
// scripts/localstack.ts holds the other end of stdin. It closes stdin to stop this process, and the
// kernel closes it if that script dies.
process.stdin.on("end", () => stop.abort()).resume();

const seconds = (from: number) => ((performance.now() - from) / 1000).toFixed(1);

async function main(): Promise<number> {
  const startedAt = performance.now();
  const localStack = new LocalStack();
  try {
    await localStack.ready(stop.signal);
    const start = seconds(startedAt);
    console.error(`localstack: started in ${start} s`);
    const testedAt = performance.now();
    const code = await runTests(ENDPOINT, process.argv.slice(2), stop.signal);
    const peak = Math.round(localStack.peak / 2 ** 20);
    console.error(
      `localstack: start ${start} s, tests ${seconds(testedAt)} s, peak memory of LocalStack and its children ${peak} MiB`,
    );
    return code;
  } catch (error) {
    if (stop.signal.aborted) return 130;
    console.error(error instanceof Error ? error.message : error);
    return 1;
  } finally {
    await localStack.stop();
  }
}

process.exit(await main());
