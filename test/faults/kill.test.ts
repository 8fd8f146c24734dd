import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { finish, tidy } from "./acts.ts";
import { countCalls } from "./cases.ts";
import { judgeFolder, openFolder } from "./folder.ts";
import type { RealWorld } from "./real.ts";

/**
 * Tests of a process that is killed by SIGKILL at each call of a run, with SQLite and a folder. The
 * next run, a vacuum days later, and the judge are in the process of the test.
 */

type Moment = "before" | "during" | "after";
interface Kill {
  readonly call: number;
  readonly moment: Moment;
}
interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
}

const MINUTES = 60_000;
const DAYS = 24 * 60 * MINUTES;
const AT_ONCE = Math.min(4, availableParallelism());
/** Calls of the ledger that only read. */
const READS = new Set(["ledger.batch", "ledger.task", "ledger.tasks"]);

/**
 * A folder of a file system in memory, which not every machine has. A killed process loses no
 * written bytes, even without a sync, so the test does not need the slow syncs of a disk.
 */
const MEMORY = "/dev/shm";
const home = mkdtempSync(join(existsSync(MEMORY) ? MEMORY : tmpdir(), "millrace-kill-"));
const program = join(home, "process.mjs");
const calls = await countCalls();

beforeAll(async () => {
  // The program is bundled, because it starts 200 times, and one file starts three times as fast as
  // many modules.
  await build({
    entryPoints: [join(import.meta.dirname, "real-process.ts")],
    outfile: program,
    bundle: true,
    minify: true,
    platform: "node",
    format: "esm",
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
    logLevel: "warning",
  });
});

afterAll(() => rmSync(home, { recursive: true, force: true }));

async function start(...args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, [program, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    // The first process that is not killed fills this cache of compiled code.
    env: { ...process.env, NODE_COMPILE_CACHE: join(home, "compiled") },
  });
  const ended = new Promise<Pick<Ended, "code" | "signal">>((resolve, reject) => {
    child.once("error", reject).once("close", (code, signal) => resolve({ code, signal }));
  });
  const [printed, complaints, end] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { ...end, output: printed + complaints };
}

/**
 * Kills a run at a call, continues with another run, and then runs a vacuum. Returns the
 * violations.
 */
async function survive({ call, moment }: Kill): Promise<readonly string[]> {
  const folder = mkdtempSync(join(home, "case-"));
  const now = Date.now();
  const killed = await start(folder, String(now), String(call), moment);
  if (killed.signal !== "SIGKILL") return [`the run was not killed: ${killed.code} ${killed.output}`];
  try {
    // By then the lease of the killed run has expired. The lease is the only sign that the run has
    // ended.
    await withFolder(folder, now + 2 * MINUTES, finish);
    await withFolder(folder, now + 3 * DAYS, tidy);
    return await judgeFolder(folder);
  } catch (error) {
    return [`what it left cannot be used: ${error instanceof Error ? error.stack : String(error)}`];
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Opens the content of a folder as a new process does, and calls `work` with it. */
async function withFolder(
  folder: string,
  now: number,
  work: (world: RealWorld) => Promise<void>,
): Promise<void> {
  const { world, close } = openFolder(folder, now);
  try {
    await work(world);
  } finally {
    close();
  }
}

/** Runs several cases at once. Returns each violation with the name of its case. */
async function surviveAll(kills: readonly Kill[]): Promise<readonly string[]> {
  const broken: string[] = [];
  const queue = kills.values();
  const worker = async () => {
    for (const kill of queue)
      for (const problem of await survive(kill))
        broken.push(
          `killed ${kill.moment} call ${kill.call}, ${calls[kill.call] ?? "making the ledger"}: ${problem}`,
        );
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return broken;
}

function kills(moment: Moment, at: (name: string) => boolean): readonly Kill[] {
  return calls.flatMap((name, call) => (at(name) ? [{ call, moment }] : []));
}

describe("a process that is killed", { timeout: 5 * MINUTES }, () => {
  it("A process that is not killed makes the calls that a run in memory makes", async () => {
    const { code, output } = await start(mkdtempSync(join(home, "case-")), String(Date.now()));
    expect(output.trim().split("\n")).toEqual(calls);
    expect(code).toBe(0);
  });

  const of = (port: string) => (name: string) => name.startsWith(port);
  for (const moment of ["before", "after"] as const) {
    it.each([
      ["the ledger", "ledger."],
      ["the store", "store."],
      ["the source", "source."],
      ["the sink", "sink."],
      ["a step", "step "],
    ])(
      `A process killed ${moment} a call of %s loses nothing, doubles nothing and leaves nothing behind`,
      async (_, port) => {
        expect(await surviveAll(kills(moment, of(port)))).toEqual([]);
      },
    );
  }

  it("A process killed before a transaction of the ledger is committed leaves nothing of it", async () => {
    const isTransaction = (name: string) => of("ledger.")(name) && !READS.has(name);
    const makingIt: Kill = { call: -1, moment: "during" };
    expect(await surviveAll([makingIt, ...kills("during", isTransaction)])).toEqual([]);
  });

  it("A process killed in the middle of a file leaves no object, and vacuum removes the half file", async () => {
    expect(await surviveAll(kills("during", (name) => name === "store.put"))).toEqual([]);
  });
});
