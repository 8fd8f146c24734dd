import { defineConfig } from "vitest/config";
import { lanes } from "./test/lanes.ts";

const { fast, processes } = lanes();
const timeouts = { testTimeout: 60_000, hookTimeout: 120_000 };

/** All tests but those that need LocalStack, which scripts/localstack.ts starts. */
export default defineConfig({
  test: {
    // Two cores: tests of the second lane start processes of their own.
    maxWorkers: 2,
    projects: [
      { test: { name: "fast", include: [...fast], ...timeouts } },
      {
        test: {
          name: "processes",
          include: [...processes],
          globalSetup: "test/support/processes-setup.ts",
          ...timeouts,
        },
      },
    ],
  },
});
