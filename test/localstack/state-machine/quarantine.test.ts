import { describe, expect, it } from "vitest";
import { millrace } from "../../support/process.ts";
import { control, isRead, landed, ONCE, relayed, upTo, usePipelines } from "./pipelines.ts";

usePipelines();

const COMMAND = ["quarantine", "relayed", "--stack", "MillraceTests"];

async function quarantined(): Promise<readonly unknown[]> {
  const { code, stdout, stderr } = await millrace([...COMMAND, "--json"]);
  expect(code, stderr).toBe(0);
  return stdout.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as unknown]));
}

describe("the quarantine of a deployed pipeline", () => {
  it("A bad row is kept, shown, and sent again under the rights of the roles, once", async () => {
    control.available = 8;
    control.deed = (call) => (isRead(1)(call) ? "yield a bad row" : "go on");
    expect(await relayed.execute(ONCE)).toMatchObject({ status: "SUCCEEDED" });
    expect(await landed(relayed)).toEqual(upTo(8));
    const row = { reason: { code: "ROW_MISMATCH", where: { partition: 1, row: 3 } }, row: { word: 7 } };
    expect(await quarantined()).toMatchObject([{ batchId: 0, ...row }]);

    // The row does not fit this time either, so it is in the quarantine of the retry only.
    const retry = await millrace([...COMMAND, "--retry"]);
    expect(retry.code, retry.stderr).toBe(0);
    expect(await quarantined()).toMatchObject([
      { batchId: 1, reason: { code: "ROW_MISMATCH", where: { row: 3 } }, row: { word: 7 } },
    ]);
    expect(await landed(relayed)).toEqual(upTo(8));
    expect(await relayed.ledger.head("relayed")).toMatchObject({
      quarantinedRows: 1,
      lastCommittedBatchId: 1,
    });
  });
});
