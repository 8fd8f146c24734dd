import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { documentedReader, hasPython, runPython } from "../../support/python.ts";
import { Desk } from "./table-desk.ts";

/** Reads a table with the Python code of the page, and returns its ids or the error. */
function readWithPython(folder: string): readonly number[] | string {
  return runPython(
    `${documentedReader()}
import sys
try:
    print(json.dumps(read_table(sys.argv[1])["id"].to_pylist()))
except ValueError as error:
    print(json.dumps(str(error)))`,
    [folder],
  );
}

const entry = (desk: Desk, version: number) =>
  join(desk.path, `_log/${String(version).padStart(20, "0")}.json`);

describe.runIf(hasPython)("the Python lines of the page", () => {
  it("The Python lines read a table with checkpoints, which they need not know", async () => {
    const desk = new Desk();
    for (let batchId = 0; batchId < 40; batchId++)
      await desk.commit([await desk.stage([batchId], { batchId })], { batchId });
    expect(readWithPython(desk.path)).toEqual(await desk.ids());
  });

  it.each([0, 1])(
    "The Python lines notice that version %i of three is missing, or is another",
    async (version) => {
      const desk = new Desk();
      for (let batchId = 0; batchId < 3; batchId++)
        await desk.commit([await desk.stage([batchId], { batchId })], { batchId });
      writeFileSync(entry(desk, version), '{"version":7,"add":[],"remove":[]}');
      const error = `version ${version} of the log of ${desk.path} is missing or garbled`;
      expect(readWithPython(desk.path)).toBe(error);
      rmSync(entry(desk, version));
      expect(readWithPython(desk.path)).toBe(error);
    },
  );
});
