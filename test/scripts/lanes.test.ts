import { globSync } from "node:fs";
import { expect, it } from "vitest";
import { lanes } from "../lanes.ts";
import { ROOT } from "../support/root.ts";

const { fast, processes } = lanes();

it("Each test file outside of test/localstack belongs to exactly one lane", () => {
  const files = globSync("test/**/*.test.ts", { cwd: ROOT, exclude: ["test/localstack/**"] });
  expect([...fast, ...processes].sort()).toEqual(files.sort());
});

it("A test file that starts processes itself belongs to the lane processes", () => {
  expect(processes).toContain("test/borders/check.test.ts");
});

it("A test file that starts processes through a helper of a helper belongs to the lane processes", () => {
  expect(processes).toContain("test/e2e/demo.test.ts");
  // This test uses PostgreSQL through test/postgres/shared.ts, which imports server.ts.
  expect(processes).toContain("test/connectors/postgres-source/late-commits.test.ts");
});

it("A test file that runs in its own process belongs to the lane fast", () => {
  expect(fast).toContain("test/contract/ddl.test.ts");
  expect(fast).toContain("test/faults/world.test.ts");
});
