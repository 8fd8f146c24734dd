import { describe, expect, it } from "vitest";
import { encodeFile } from "../../../shared/arrow/ipc-file.ts";
import { recordBatchOf } from "../../../shared/arrow/record-batches.ts";
import { readStaged, stagingOf } from "../../../shared/connectors/kit/staging.ts";
import type { SinkContext } from "../../../shared/contract/context.ts";
import { parseDdl } from "../../../shared/contract/ddl/parse.ts";
import { MemoryStore, memoryObjects } from "../../../shared/platform/memory/memory-store.ts";

const schema = parseDdl("id int");

describe("rows that are staged", () => {
  it("A staged file that is damaged is an error that names it and how to give the batch up", async () => {
    const file = Buffer.concat(
      await Array.fromAsync(encodeFile(schema, [recordBatchOf(schema, [{ id: 1 }])])),
    );
    const context = { store: new MemoryStore(memoryObjects(() => 0)) } as unknown as SinkContext;
    const staging = stagingOf(context);
    await staging.put("a.arrow", file.subarray(0, -20));
    const message = { path: "a.arrow", rows: 1, bytes: file.length };
    await expect(Array.fromAsync(readStaged([null, message], context))).rejects.toMatchObject({
      code: "STAGED_FILE_MISSING",
      message: expect.stringMatching(/^a\.arrow is damaged: ./),
      where: { partition: 1, path: `${staging.location}/a.arrow` },
      hint: expect.stringContaining("`millrace skip PIPELINE`"),
    });
  });
});
