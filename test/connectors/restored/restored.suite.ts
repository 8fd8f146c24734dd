import { beforeEach, describe, expect, it } from "vitest";
import { type Home, Numbers, type Target } from "./numbers.ts";

/**
 * Tests of a ledger and a sink's table that do not fit together, because one of them was restored,
 * lost or copied. `open` creates an empty table, `home` an empty home.
 */
export function restored(open: () => Promise<Target>, newHome: () => Promise<Home>): void {
  let target: Target;
  let numbers: Numbers;
  let home: Home;
  beforeEach(async () => {
    target = await open();
    numbers = new Numbers(target);
    home = await newHome();
    await numbers.batch(home, 10);
  });

  const upTo = (count: number) => Array.from({ length: count }, (_, n) => n);

  /** Runs a batch, which must be refused before anything is written or acknowledged. */
  async function expectRefused(at: Home, to: number, code: string, hint: string): Promise<void> {
    const [before, told] = [await target.ids(), [...numbers.acknowledged]];
    const head = await at.ledger.head("numbers");
    await expect(numbers.batch(at, to)).rejects.toMatchObject({
      code,
      hint: expect.stringContaining(hint) as string,
    });
    expect(await target.ids()).toEqual(before);
    expect(numbers.acknowledged).toEqual(told);
    const after = await at.ledger.head("numbers");
    expect(after?.offset).toEqual(head?.offset);
    expect(after?.openBatchId).toBeUndefined();
  }

  describe("a ledger that is older than the table", () => {
    it("A ledger that was restored to an earlier state plans nothing", async () => {
      const backup = await home.copy();
      await numbers.batch(home, 20);
      await expectRefused(backup, 30, "LEDGER_BEHIND_SINK", "`millrace adopt numbers`");
    });

    it("A ledger that was restored by several batches plans nothing", async () => {
      const backup = await home.copy();
      for (const to of [20, 30, 40]) await numbers.batch(home, to);
      await expectRefused(backup, 50, "LEDGER_BEHIND_SINK", "`millrace adopt numbers`");
    });

    it("A ledger that was restored with an open batch, which is in the table, goes on with each row once", async () => {
      const { run, planned } = await numbers.staged(home, 20);
      const backup = await home.copy();
      await run.finalize(planned);
      await numbers.batch(backup, 20);
      await numbers.batch(backup, 30);
      expect(await target.ids()).toEqual(upTo(30));
    });

    it("A new ledger plans nothing if the table knows the pipeline from another one", async () => {
      await expect(numbers.batch(await newHome(), 30)).rejects.toMatchObject({
        code: "LEDGER_BEHIND_SINK",
        message: expect.stringContaining("from another ledger") as string,
      });
      expect(await target.ids()).toEqual(upTo(10));
    });
  });

  describe("a home that was copied", () => {
    it("The second of two homes that commit another range under one id writes and acknowledges nothing", async () => {
      const copy = await home.copy();
      const mine = await numbers.staged(home, 20);
      const theirs = await numbers.staged(copy, 30);
      await mine.run.finalize(mine.planned);
      const told = [...numbers.acknowledged];
      const { batch, failure } = await theirs.run.finalize(theirs.planned);
      expect([batch.state, failure?.code]).toEqual(["aborted", "LEDGER_BEHIND_SINK"]);
      expect(await target.ids()).toEqual(upTo(20));
      expect(numbers.acknowledged).toEqual(told);
      await numbers.batch(home, 30);
      expect(await target.ids()).toEqual(upTo(30));
    });

    it("One of two homes that commit at the same time wins, and the other one writes nothing that stays", async () => {
      const copy = await home.copy();
      const mine = await numbers.staged(home, 20);
      const theirs = await numbers.staged(copy, 30);
      const ended = await Promise.all([mine.run.finalize(mine.planned), theirs.run.finalize(theirs.planned)]);
      const winner = ended.findIndex(({ batch }) => batch.state === "committed");
      expect(ended[1 - winner]?.batch.state).toBe("aborted");
      await numbers.batch(winner === 0 ? home : copy, 40);
      expect(await target.ids()).toEqual(upTo(40));
    });
  });

  describe("a table that is older than the ledger", () => {
    it("A table that was restored to an earlier state is refused, and a rewind ends with each row once", async () => {
      const restore = await target.backUp();
      await numbers.batch(home, 20);
      await restore();
      await expectRefused(
        home,
        30,
        "SINK_BEHIND_LEDGER",
        `\`millrace rewind numbers --to-offset '{"n":10}'\``,
      );
      await numbers.rewind(home, 10);
      await numbers.batch(home, 30);
      await numbers.batch(home, 40);
      expect(await target.ids()).toEqual(upTo(40));
    });

    it("A table that was restored after the batch was planned is refused by the commit", async () => {
      const restore = await target.backUp();
      await numbers.batch(home, 20);
      const { run, planned } = await numbers.staged(home, 30);
      await restore();
      const { batch, failure } = await run.finalize(planned);
      expect([batch.state, failure?.code]).toEqual(["aborted", "SINK_BEHIND_LEDGER"]);
      expect(await target.ids()).toEqual(upTo(10));
      expect(numbers.acknowledged).toEqual([10, 20]);
    });
  });

  describe("both restored", () => {
    it("A ledger and a table that were restored to the same moment go on with each row once", async () => {
      const [backup, restore] = [await home.copy(), await target.backUp()];
      await numbers.batch(home, 20);
      await restore();
      await numbers.batch(backup, 30);
      expect(await target.ids()).toEqual(upTo(30));
    });

    it("A ledger that was restored to an earlier moment than the table plans nothing", async () => {
      const backup = await home.copy();
      await numbers.batch(home, 20);
      const restore = await target.backUp();
      await numbers.batch(home, 30);
      await restore();
      await expectRefused(backup, 40, "LEDGER_BEHIND_SINK", "`millrace adopt numbers`");
    });

    it("A ledger that was restored to a later moment than the table is refused, and a rewind ends with each row once", async () => {
      const restore = await target.backUp();
      await numbers.batch(home, 20);
      const backup = await home.copy();
      await numbers.batch(home, 30);
      await restore();
      await expectRefused(backup, 40, "SINK_BEHIND_LEDGER", "millrace rewind numbers");
      await numbers.rewind(backup, 10);
      await numbers.batch(backup, 40);
      expect(await target.ids()).toEqual(upTo(40));
    });
  });
}
