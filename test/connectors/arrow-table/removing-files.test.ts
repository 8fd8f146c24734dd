import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dataKey } from "../../../shared/connectors/arrow-table/data-files.ts";
import { filesOf } from "../../../shared/connectors/kit/staging.ts";
import type { OpenBatch } from "../../../shared/contract/stream-writer.ts";
import { filesBelow } from "../../support/process.ts";
import { namedFiles, stagedFiles } from "../../support/table.ts";
import { Desk, pathOf } from "./table-desk.ts";

const HOUR = 3_600_000;

describe("abort", () => {
  it("An abort deletes the files that the tasks staged if no commit was tried, and no other file", async () => {
    const desk = new Desk();
    const kept = await desk.stage([9], { attempt: 2 });
    const messages = [await desk.stage([1]), null, await desk.stage([2], { partitionId: 2 })];
    await desk.writer().abort(messages, 0, desk.context());
    await desk.writer().abort(messages, 0, desk.context());
    expect(stagedFiles(desk.path)).toEqual([pathOf(kept)]);
  });

  it("An abort deletes nothing after a commit was tried, because a late entry may still name its files", async () => {
    const desk = new Desk();
    const messages = [await desk.stage([1])];
    await desk.writer().abort(messages, 0, desk.context({ commitTried: true }));
    await desk.commit(messages);
    await desk.commit([await desk.stage([1], { attempt: 2 })], { attempt: 2 });
    expect(await desk.ids()).toEqual([1]);
  });
});

describe("vacuum", () => {
  const open = (overrides: Partial<OpenBatch> = {}): OpenBatch => ({
    lastTriedAttempt: 0,
    batchId: 1,
    attempt: 1,
    aborted: false,
    ...overrides,
  });

  it("A vacuum removes files that no commit names and spares those that one names", async () => {
    const desk = new Desk();
    const staged = await desk.stage([1]);
    await desk.stage([1], { attemptNumber: 1 });
    await desk.commit([staged]);
    expect(await desk.vacuum({ dryRun: true })).toMatchObject({ files: 1 });
    expect(stagedFiles(desk.path)).toHaveLength(2);
    expect(await desk.vacuum()).toMatchObject({ files: 1 });
    expect(stagedFiles(desk.path)).toEqual(namedFiles(desk.path));
  });

  it("A vacuum spares files that are younger than the given age", async () => {
    const desk = new Desk();
    const staged = await desk.stage([1]);
    await desk.commit([]);
    expect(await desk.vacuum({ olderThan: HOUR })).toEqual({ files: 0, bytes: 0 });
    desk.age(pathOf(staged), 2 * HOUR);
    expect(await desk.vacuum({ olderThan: HOUR })).toEqual({ files: 1, bytes: filesOf(staged)[0]?.bytes });
  });

  it("A vacuum keeps the files of an attempt that is still running, however old they are", async () => {
    const desk = new Desk();
    await desk.commit([null]);
    const staged = await desk.stage([1], { batchId: 1 });
    desk.age(pathOf(staged), 30 * 24 * HOUR);
    expect(await desk.vacuum({ open: open() })).toEqual({ files: 0, bytes: 0 });
    await desk.commit([staged], { batchId: 1 });
    expect(await desk.ids()).toEqual([1]);
  });

  it("A vacuum removes at once the files of a finished attempt whose commit was never begun", async () => {
    const desk = new Desk();
    await desk.stage([1], { batchId: 1 });
    expect(await desk.vacuum({ open: open(), dryRun: true })).toMatchObject({ files: 0 });
    expect(await desk.vacuum({ open: open({ aborted: true }), dryRun: true })).toMatchObject({ files: 1 });
    expect(await desk.vacuum({ open: open({ attempt: 2 }) })).toMatchObject({ files: 1 });
  });

  it("A vacuum spares attempts whose commit was begun while their batch is open, however old they are", async () => {
    const desk = new Desk();
    await desk.commit([null]);
    const staged = await desk.stage([1], { batchId: 1 });
    const messages = [staged];
    desk.age(pathOf(staged), 30 * 24 * HOUR);
    expect(await desk.vacuum({ open: open({ aborted: true, lastTriedAttempt: 1 }) })).toMatchObject({
      files: 0,
    });
    expect(await desk.vacuum({ open: open({ attempt: 3, lastTriedAttempt: 2 }) })).toMatchObject({
      files: 0,
    });
    await desk.commit(messages, { batchId: 1 });
    expect(await desk.ids()).toEqual([1]);
  });

  it("A vacuum does not trust a log that lacks a batch which is closed in the ledger", async () => {
    const desk = new Desk();
    await desk.stage([1]);
    expect(await desk.vacuum()).toMatchObject({ files: 0 });
  });

  it("A vacuum removes uploads of files and log entries that ended with their process", async () => {
    const desk = new Desk();
    await desk.commit([await desk.stage([1])]);
    const id = "00000000-0000-4000-8000-000000000000";
    const left = [`_log/${"0".repeat(20)}.json.${id}.upload`, `${dataKey(desk.task(), id)}.${id}.upload`];
    for (const path of left) writeFileSync(join(desk.path, path), "half");
    await desk.vacuum();
    expect(filesBelow(desk.path).filter((file) => file.endsWith(".upload"))).toEqual([]);
  });

  it("A vacuum removes the files of earlier attempts of a batch as soon as the batch is committed", async () => {
    const desk = new Desk();
    await desk.stage([1]);
    await desk.commit([await desk.stage([1], { attempt: 2 })], { attempt: 2 });
    expect(await desk.vacuum()).toMatchObject({ files: 1 });
    expect(await desk.ids()).toEqual([1]);
  });

  it("A vacuum touches no file of other pipelines or of other incarnations of this one", async () => {
    const desk = new Desk();
    await desk.stage([1], { pipeline: "clicks" });
    await desk.stage([1], { incarnation: "life-0" });
    expect(await desk.vacuum()).toMatchObject({ files: 0 });
    expect(stagedFiles(desk.path)).toHaveLength(2);
  });

  it("A vacuum does not remove a file that is committed while it works", async () => {
    const desk = new Desk();
    const staged = await desk.stage([1]);
    await desk.writer().vacuum({
      ...desk.context(),
      now: Date.now(),
      olderThan: 0,
      dryRun: false,
      readOpenBatch: async () => {
        await desk.commit([staged]);
        return undefined;
      },
    });
    expect(await desk.ids()).toEqual([1]);
  });
});
