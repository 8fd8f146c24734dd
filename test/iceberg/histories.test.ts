import { describe, expect, it } from "vitest";
import { hasIceberg } from "../../scripts/setup-iceberg.ts";
import { hasPython } from "../support/python.ts";
import { runHistories } from "./histories/run.ts";

describe.skipIf(!hasPython || !hasIceberg())("random histories of an Iceberg table", () => {
  it("A table equals its model after each step of batches, kills, replays, expiry, rollback and other writers", async () => {
    const seed = Math.floor(Math.random() * 1e9);
    const seen: number[] = [];
    await runHistories({
      seed,
      count: 4,
      steps: 12,
      withSpark: false,
      onHistory: (one) => void seen.push(one),
    });
    expect(seen).toHaveLength(4);
  });
});
