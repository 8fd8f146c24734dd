import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { itemsOf, newTables, putItems } from "../old-state/dynamodb.ts";
import { newProject } from "../old-state/project.ts";
import { OldRun } from "../old-state/writing.ts";

describe("a ledger in DynamoDB that an older version wrote", () => {
  it.each(["committed", "planned", "committing", "landed"])(
    "Each row is in a table of DynamoDB once after a run that found an older version's state %s",
    async (state) => {
      const folder = newProject({ pipeline: "dynamodb", fixture: `dynamodb/${state}`, count: 60 });
      onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
      const { ledger, sink, place } = await newTables(folder, "dd000000");
      await putItems(ledger, join(folder, "ledger.jsonl"));
      await putItems(sink, join(folder, "sink.jsonl"));
      const run = await OldRun.open(place, "next");
      while ((await run.batch()) !== undefined);
      const head = await place.ledger.head("old");
      expect(head).toMatchObject({ lastCommittedBatchId: 2, offset: { n: 60 } });
      expect(head).not.toHaveProperty("openBatchId");
      // The sink keeps one item of its own, which is no row.
      const items = (await itemsOf(sink)).filter(({ word }) => word !== undefined);
      expect(items.map(({ n, word }) => [n?.N, word?.S])).toEqual(
        Array.from({ length: 60 }, (_, n) => [`${n}`, `number ${n}`]),
      );
      const versions = items.map(({ _millrace }) => _millrace?.M?.["version"]?.S?.slice(0, 12));
      const batchOf = (n: number) => String(Math.floor(n / 20)).padStart(12, "0");
      expect(versions).toEqual(items.map((_, n) => batchOf(n)));
    },
  );
});
