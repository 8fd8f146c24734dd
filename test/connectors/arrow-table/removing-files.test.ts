import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dataKey } from "../../../shared/connectors/arrow-table/data-files.ts";
import type { OpenBatch } from "../../../shared/contract/stream-writer.ts";
import { filesBelow } from "../../support/process.ts";
import { namedFiles, stagedFiles } from "../../support/table.ts";
import { Desk } from "./table-desk.ts";

const HOUR = 3_600_000;

describe("abort", () => {
  it("deletes what the tasks staged where no commit was tried, and nothing else", async () => {
    const desk = new Desk();
    const kept = await desk.stage([9], { attempt: 2 });
    const messages = [await desk.stage([1]), null, await desk.stage([2], { partitionId: 2 })];
    await desk.writer().abort(messages, 0, desk.context());
    await desk.writer().abort(messages, 0, desk.context());
    expect(stagedFiles(desk.path)).toEqual([kept.path]);
  });

  it("deletes nothing once a commit was tried: the entry of a zombie may still land, and finds its files", async () => {
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

  it("removes files that no commit names, and spares those that one names", async () => {
    const desk = new Desk();
    const staged = await desk.stage([1]);
    await desk.stage([1], { attemptNumber: 1 });
    await desk.commit([staged]);
    expect(await desk.vacuum({ dryRun: true })).toMatchObject({ files: 1 });
    expect(stagedFiles(desk.path)).toHaveLength(2);
    expect(await desk.vacuum()).toMatchObject({ files: 1 });
    expect(stagedFiles(desk.path)).toEqual(namedFiles(desk.path));
  });

  it("spares files that are younger than asked", async () => {
    const desk = new Desk();
    const staged = await desk.stage([1]);
    await desk.commit([]);
    expect(await desk.vacuum({ olderThan: HOUR })).toEqual({ files: 0, bytes: 0 });
    desk.age(staged.path ?? "", 2 * HOUR);
    expect(await desk.vacuum({ olderThan: HOUR })).toEqual({ files: 1, bytes: staged.bytes });
  });

  it("spares the attempt at work, however old its files are", async () => {
    const desk = new Desk();
    const staged = await desk.stage([1], { batchId: 1 });
    desk.age(staged.path ?? "", 30 * 24 * HOUR);
    expect(await desk.vacuum({ open: open() })).toEqual({ files: 0, bytes: 0 });
    await desk.commit([staged], { batchId: 1 });
    expect(await desk.ids()).toEqual([1]);
  });

  it("removes at once what an attempt left that is over and whose commit was never begun", async () => {
    const desk = new Desk();
    await desk.stage([1], { batchId: 1 });
    expect(await desk.vacuum({ open: open(), dryRun: true })).toMatchObject({ files: 0 });
    expect(await desk.vacuum({ open: open({ aborted: true }), dryRun: true })).toMatchObject({ files: 1 });
    expect(await desk.vacuum({ open: open({ attempt: 2 }) })).toMatchObject({ files: 1 });
  });

  it("spares attempts whose commit was begun for as long as the batch is open, however old: it may be under way in a process that sleeps", async () => {
    const desk = new Desk();
    const messages = [await desk.stage([1], { batchId: 1 })];
    desk.age(messages[0]?.path ?? "", 30 * 24 * HOUR);
    expect(await desk.vacuum({ open: open({ aborted: true, lastTriedAttempt: 1 }) })).toMatchObject({
      files: 0,
    });
    expect(await desk.vacuum({ open: open({ attempt: 3, lastTriedAttempt: 2 }) })).toMatchObject({
      files: 0,
    });
    await desk.commit(messages, { batchId: 1 });
    expect(await desk.ids()).toEqual([1]);
  });

  it("does not believe a log that lacks a batch which the ledger calls closed", async () => {
    const desk = new Desk();
    await desk.stage([1]);
    expect(await desk.vacuum()).toMatchObject({ files: 0 });
  });

  it("removes uploads of files and of log entries that ended with their process", async () => {
    const desk = new Desk();
    await desk.commit([await desk.stage([1])]);
    const id = "00000000-0000-4000-8000-000000000000";
    const left = [`_log/${"0".repeat(20)}.json.${id}.upload`, `${dataKey(desk.task(), id)}.${id}.upload`];
    for (const path of left) writeFileSync(join(desk.path, path), "half");
    await desk.vacuum();
    expect(filesBelow(desk.path).filter((file) => file.endsWith(".upload"))).toEqual([]);
  });

  it("removes what earlier attempts of a batch left as soon as the batch has landed", async () => {
    const desk = new Desk();
    await desk.stage([1]);
    await desk.commit([await desk.stage([1], { attempt: 2 })], { attempt: 2 });
    expect(await desk.vacuum()).toMatchObject({ files: 1 });
    expect(await desk.ids()).toEqual([1]);
  });

  it("touches nothing of other pipelines and of other lives of this one", async () => {
    const desk = new Desk();
    await desk.stage([1], { pipeline: "clicks" });
    await desk.stage([1], { incarnation: "life-0" });
    expect(await desk.vacuum()).toMatchObject({ files: 0 });
    expect(stagedFiles(desk.path)).toHaveLength(2);
  });

  it("does not remove a file that is committed while it works", async () => {
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
