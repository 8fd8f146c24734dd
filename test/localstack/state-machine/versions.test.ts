import { expect, it } from "vitest";
import type { Deed } from "../control.ts";
import { deployAgain } from "../deployed.ts";
import { EDITION } from "../names.ts";
import { committed, control, landed, numbers, ONCE, seen, upTo, usePipelines } from "./pipelines.ts";

usePipelines();

/** The editions of the functions that made calls, without repetitions. */
const editions = () => [...new Set(control.calls.map(({ edition }) => edition))];

it("An execution ends with the code that it began with, though the stack is deployed again meanwhile", async () => {
  control.available = 4;
  const gate = control.gate();
  control.deed = async ({ call, partition }): Promise<Deed> => {
    if (call === "read" && partition === 0) await gate.opened;
    return "go on";
  };
  const execution = await numbers.start(ONCE);
  await seen("partition 0 is read", ({ call, partition }) => call === "read" && partition === 0);
  await deployAgain("MillraceTests", { [EDITION]: "second" });
  gate.open();
  expect(await numbers.ended(execution)).toMatchObject(committed(0, 4));
  expect(control.calls.at(-1)).toMatchObject({ call: "commit offset", to: 4 });
  expect(editions()).toEqual(["first"]);

  control.calls.length = 0;
  control.available = 8;
  expect(await numbers.execute(ONCE)).toMatchObject(committed(1, 4));
  expect(editions()).toEqual(["second"]);
  expect(await landed()).toEqual(upTo(8));
});
