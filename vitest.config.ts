import { defineConfig } from "vitest/config";
import { lanes } from "./test/lanes.ts";

const { fast, processes } = lanes();
// They only end what hangs: a test must pass on a machine that is busy with other work, too.
const FAST_TIMEOUTS = { testTimeout: 60_000, hookTimeout: 120_000 };
const PROCESS_TIMEOUTS = { testTimeout: 180_000, hookTimeout: 600_000 };

/** All tests but those that need LocalStack, which scripts/localstack.ts starts. */
export default defineConfig({
  test: {
    // Two cores: tests of the second lane start processes of their own.
    maxWorkers: 2,
    projects: [
      { test: { name: "fast", include: [...fast], ...FAST_TIMEOUTS } },
      {
        test: {
          name: "processes",
          include: [...processes],
          globalSetup: "test/support/processes-setup.ts",
          ...PROCESS_TIMEOUTS,
        },
      },
    ],
  },
});
