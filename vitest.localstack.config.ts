import { defineConfig } from "vitest/config";

/** The tests that need LocalStack: `npm run test:localstack`. */
// biome-ignore lint/style/noDefaultExport: vitest reads the default export
export default defineConfig({
  test: {
    include: ["test/localstack/**/*.test.ts"],
    globalSetup: "test/support/package.ts",
    testTimeout: 180_000,
    hookTimeout: 300_000,
    // They share one LocalStack, and its two cores.
    fileParallelism: false,
  },
});
