import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadPipeline } from "../../local/load-pipeline.ts";
import { temporaryFolder } from "../support/folder.ts";

const loading = (source: string) => {
  const file = join(temporaryFolder(), "pipeline.mjs");
  writeFileSync(file, source);
  return loadPipeline(file);
};

describe("a pipeline's file", () => {
  it.each(["start", "save"])("that calls .%s(), as Spark has it, is told to leave it out", async (call) => {
    await expect(loading(`const made = {}; export default made.${call}();`)).rejects.toMatchObject({
      code: "PIPELINE_FILE_FAILED",
      hint: expect.stringContaining(`leave .${call}() out: millrace run starts it`) as string,
    });
  });

  it("that fails otherwise is told to be corrected", async () => {
    await expect(loading("const made = {}; made.restart();")).rejects.toMatchObject({
      code: "PIPELINE_FILE_FAILED",
      hint: "Correct the file; the cause is below.",
    });
  });
});
