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
  it.each(["start", "save"])(
    "The error of a pipeline's file that calls .%s(), as in Spark, says to leave the call out",
    async (call) => {
      await expect(loading(`const made = {}; export default made.${call}();`)).rejects.toMatchObject({
        code: "PIPELINE_FILE_FAILED",
        hint: expect.stringContaining(`leave .${call}() out: millrace run starts it`) as string,
      });
    },
  );

  it("The error of a pipeline's file that fails for another reason says to correct the file", async () => {
    await expect(loading("const made = {}; made.restart();")).rejects.toMatchObject({
      code: "PIPELINE_FILE_FAILED",
      hint: "Correct the file; the cause is below.",
    });
  });
});
