import { setTimeout } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { runtime } from "../../../local/home.ts";
import { Pace } from "../../../shared/connectors/kit/http/pace.ts";

/** Takes turns in a thread, as tasks do. Posts the time of each, in milliseconds of the process. */
const { origin, turns, perSecond } = workerData as { origin: string; turns: number; perSecond: number };
const policy = { attempts: 1, firstDelay: 0, longestDelay: 0 };
const pace = new Pace(origin, perSecond, policy, runtime);
for (let turn = 0; turn < turns; turn++) {
  await pace.turn(undefined);
  parentPort?.postMessage(runtime.monotonic());
}
await setTimeout(0);
