import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Control } from "../control.ts";
import { type DeployedPipeline, deployed } from "../deployed.ts";
import { committed, is, ONCE, once, upTo } from "./pipelines.ts";

/** A table of the package `connector.write`, deployed. Its writers commit in two steps. */

let control: Control;
let tabled: DeployedPipeline;

beforeAll(async () => {
  control = await Control.start();
  tabled = (await deployed("MillraceTests")).pipeline("tabled");
});

afterAll(async () => {
  await control.close();
});

beforeEach(async () => {
  control.reset();
  await tabled.forget();
  control.available = 8;
});

async function json<T>(key: string): Promise<T> {
  return JSON.parse(Buffer.from((await tabled.store.get(key)) ?? []).toString()) as T;
}

/** Returns the numbers that the table's commits name, sorted; one that is there twice, twice. */
async function landed(): Promise<number[]> {
  const numbers: number[] = [];
  for (const key of await tabled.keys("table/commits/"))
    for (const file of (await json<{ keys: string[] }>(key)).keys)
      numbers.push(...(await json<{ n: number }[]>(file)).map(({ n }) => n));
  return numbers.sort((a, b) => a - b);
}

describe("a deployed table of the write package", () => {
  it("Each row lands once, and all tasks have the folder of the planning step's factory", async () => {
    expect(await tabled.execute(ONCE)).toMatchObject(committed());
    expect(await landed()).toEqual(upTo(8));
    const folders = (await tabled.keys("staging/")).map((key) => key.split("/")[1]);
    expect(folders).toHaveLength(4);
    expect(new Set(folders).size).toBe(1);
  });

  it("A writer that is killed while it commits is replaced, and each row lands once", async () => {
    control.deed = once("die", (call) => call.call === "staged" && call.partition === 2);
    expect(await tabled.execute(ONCE)).toMatchObject(committed());
    expect(control.of("staged").filter(({ partition }) => partition === 2)).toHaveLength(2);
    expect(await landed()).toEqual(upTo(8));
  });

  it.each(["before commit", "after commit"] as const)(
    "A finalizer that is killed %s goes on in a new process, and each row lands once",
    async (call) => {
      control.deed = once("die", is(call));
      const first = await tabled.execute(ONCE);
      if (first.status !== "SUCCEEDED") expect(await tabled.execute(ONCE)).toMatchObject(committed());
      expect(control.of("before commit").length).toBeGreaterThan(1);
      expect(await landed()).toEqual(upTo(8));
    },
  );

  it("A writer whose commit fails for good makes the batch abort, and the next run writes it once", async () => {
    let failures = 0;
    control.deed = (call) =>
      call.call === "staged" && call.partition === 1 && failures++ < 2 ? "fail" : "go on";
    expect(await tabled.execute(ONCE)).toMatchObject({ status: "FAILED" });
    expect(control.of("abort")).toHaveLength(1);
    expect(await landed()).toEqual([]);
    expect(await tabled.execute(ONCE)).toMatchObject(committed(0, 8, 2));
    expect(await landed()).toEqual(upTo(8));
  });
});
