import { join } from "node:path";
import { expect, it } from "vitest";
import { temporaryFolder } from "../support/folder.ts";
import { millrace, ROOT } from "../support/process.ts";

it("cat names the numbers that JSON does not have, as Spark's to_json does", async () => {
  const home = temporaryFolder();
  const { code, stderr } = await millrace([
    "run",
    join(ROOT, "test/e2e/pipelines/doubles.ts"),
    "--home",
    home,
  ]);
  expect(code, stderr).toBe(0);
  expect((await millrace(["cat", "doubles", "--home", home, "--json"])).stdout).toBe(
    '{"number":"NaN","numbers":[1.5,"Infinity","-Infinity",null]}\n{"number":2,"numbers":null}\n',
  );
  const { stdout } = await millrace(["cat", "doubles", "--home", home]);
  expect(stdout).toMatch(/^NaN +\[1\.5,"Infinity","-Infinity",null\]$/m);
});
