import { setTimeout } from "node:timers/promises";
import { callerNow, log } from "./log.ts";

/**
 * Recorded sleeps last up to 15 s, so that Spark's processes keep their order. The replay needs
 * less, since its tasks run in one process. All times of a scenario are divided by the same number.
 */
const FASTER = 2;

/** Returns the time of the replay for a recorded one, in milliseconds. */
export function replayed(milliseconds: number): number {
  return Math.ceil(milliseconds / FASTER);
}

interface Fault {
  readonly point: string;
  readonly partitionId?: number;
  readonly n?: number;
  readonly epochId?: number;
  readonly attemptsBelow?: number;
  /** Milliseconds. */
  readonly sleep?: number;
  readonly throw?: boolean;
  /** True if the sleep goes on when the task is told to stop. */
  readonly stubborn?: boolean;
}

/** What a call knows of its place. A fault may be limited by it. */
export interface Place {
  readonly partitionId?: number;
  readonly n?: number;
  readonly epochId?: number;
}

/** Puts in the faults that the option `fault` of a table names. */
export class Faults {
  readonly #faults: readonly Fault[];

  constructor(settings: Readonly<Record<string, string>>) {
    this.#faults = JSON.parse(settings["fault"] ?? "[]") as Fault[];
  }

  /** True if a fault is meant for this point, whatever its limits are. */
  knows(point: string): boolean {
    return this.#faults.some((fault) => fault.point === point);
  }

  /** For calls that may not wait: a sleep blocks the process. */
  strike(point: string, place: Place = {}): void {
    for (const fault of this.#at(point, place)) {
      if (fault.sleep !== undefined) {
        log(`!! sleep in ${point}`, { ms: fault.sleep });
        block(replayed(fault.sleep));
        log(`!! awake in ${point}`);
      }
      if (fault.throw !== false) raise(point);
    }
  }

  /** Like `strike`. Returns `undefined` if there is nothing to wait for. */
  strikeLater(point: string, place: Place = {}): Promise<void> | undefined {
    const faults = this.#at(point, place);
    return faults.length === 0 ? undefined : strikeAll(point, faults);
  }

  #at(point: string, place: Place): readonly Fault[] {
    const { attempt } = callerNow();
    return this.#faults.filter(
      (fault) =>
        fault.point === point &&
        (["partitionId", "n", "epochId"] as const).every(
          (name) => fault[name] === undefined || fault[name] === place[name],
        ) &&
        (fault.attemptsBelow === undefined || (attempt ?? 0) < fault.attemptsBelow),
    );
  }
}

async function strikeAll(point: string, faults: readonly Fault[]): Promise<void> {
  for (const fault of faults) {
    if (fault.sleep !== undefined) await sleep(point, fault.sleep, fault.stubborn === true);
    if (fault.throw !== false) raise(point);
  }
}

async function sleep(point: string, milliseconds: number, isStubborn: boolean): Promise<void> {
  const { signal } = callerNow();
  log(`!! sleep in ${point}`, { ms: milliseconds });
  const slept = setTimeout(replayed(milliseconds));
  if (signal !== undefined) {
    const interrupted = await Promise.race([slept.then(() => false), aborted(signal).then(() => true)]);
    if (interrupted) log(`!! interrupted in ${point}`);
    if (interrupted && !isStubborn) throw new Error(`interrupted in ${point}`);
  }
  await slept;
  log(`!! awake in ${point}`);
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

function raise(point: string): never {
  log(`!! raise in ${point}`);
  throw new Error(`fault in ${point}`);
}

function block(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}
