import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // These tests need LocalStack, which scripts/localstack.ts starts.
    exclude: ["test/localstack/**"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    // Two cores are enough: end-to-end tests start processes of their own.
    maxWorkers: 2,
  },
});
