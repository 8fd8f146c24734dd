import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Finalized, Work } from "../../shared/aws/state.ts";
import { Control } from "./control.ts";
import { EXECUTION, type Handlers, LAMBDA, loadHandlers } from "./handlers.ts";
import { WatchedRequests } from "./rights.ts";

/**
 * Tests that the policies that the construct gives the roles allow the requests of the handlers.
 * LocalStack allows every request, so an independent evaluator of IAM decides. Handlers that fail
 * are tested too.
 */

let control: Control;
let handlers: Handlers;
let watched: WatchedRequests;

beforeAll(async () => {
  control = await Control.start();
  const loaded = await loadHandlers();
  handlers = loaded.handlers;
  watched = new WatchedRequests(handlers);
});

beforeEach(() => watched.forget());

afterAll(async () => {
  await control.close();
});

async function plan(): Promise<Work> {
  const planned = await watched.as("Plan", () =>
    handlers.plan({ input: { trigger: "once" }, execution: EXECUTION }, LAMBDA),
  );
  if (planned.next === "Done") throw new Error("there is nothing to do");
  return planned;
}

/** Runs a batch. Its tasks may fail. */
async function batch(): Promise<Finalized> {
  const planned = await plan();
  let failed = 0;
  for (const partition of planned.todo)
    await watched.as("Write", () =>
      handlers.write({ run: planned.run, partition, attemptNumber: 2 }, LAMBDA).catch(() => failed++),
    );
  return await watched.as("Finalize", () => handlers.finalize({ ...planned, failed, killed: null }, LAMBDA));
}

describe("the roles of the construct", () => {
  it("The roles allow each request of a batch that commits, and of a run without new data", async () => {
    control.available = 8;
    expect(await batch()).toMatchObject({ next: "Done" });
    expect(
      await watched.as("Plan", () => handlers.plan({ input: null, execution: EXECUTION }, LAMBDA)),
    ).toMatchObject({
      next: "Done",
      why: "nothing new",
    });
    expect(watched.actions()).toContain("Finalize s3:ListBucket");
    expect(await watched.refused()).toEqual([]);
  });

  it("The roles allow each request of a file that is uploaded in parts", async () => {
    control.available += 400_000;
    control.perPartition = 400_000;
    expect(await batch()).toMatchObject({ next: "Done" });
    control.perPartition = 2;
    expect(await watched.refused()).toEqual([]);
  });

  it("The roles allow each request of an aborted batch, whose staged files are dropped, and of its replay", async () => {
    control.available += 8;
    control.deed = ({ call, partition }) =>
      call === "read" && partition === 1 ? "yield a bad row" : "go on";
    expect(await batch()).toMatchObject({ next: "Failed" });
    expect(watched.actions()).toContain("Finalize s3:DeleteObject");
    control.deed = () => "go on";
    expect(await batch()).toMatchObject({ next: "Done" });
    expect(await watched.refused()).toEqual([]);
  });

  it("The roles allow each request of a batch that is resumed with more tasks than run inline", async () => {
    control.available += 500;
    const planned = await plan();
    expect(planned.next).toBe("WriteDistributed");
    await watched.as("Write", () =>
      handlers.write({ run: planned.run, partition: 3, attemptNumber: 0 }, LAMBDA),
    );
    const resumed = await plan();
    expect(resumed.items?.key).toContain("/todo-");
    // Some tasks are not recorded, so the batch is aborted.
    await watched.as("Finalize", () => handlers.finalize({ ...resumed, failed: 1, killed: null }, LAMBDA));
    expect(await watched.refused()).toEqual([]);
  });

  it("The roles allow each request of a vacuum", async () => {
    await watched.as("Vacuum", () => handlers.vacuum({ olderThan: 0 }, LAMBDA));
    expect(watched.actions()).toContain("Vacuum s3:DeleteObject");
    expect(watched.actions()).toContain("Vacuum s3:ListBucketMultipartUploads");
    expect(await watched.refused()).toEqual([]);
  });
});
