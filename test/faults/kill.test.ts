import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { DirectoryStore } from "../../shared/platform/embedded/directory-store.ts";
import { SqliteLedger } from "../../shared/platform/embedded/sqlite-ledger.ts";
import { countCalls, SHAPE } from "./cases.ts";
import { judge, type Sight } from "./real.ts";

/**
 * Kills a process with SIGKILL at each call of a run, on SQLite and a folder. Then a second process
 * continues, a vacuum runs days later, and the judge looks at the file and the folder.
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

const home = mkdtempSync(join(tmpdir(), "millrace-kill-"));
const program = join(home, "process.mjs");
const calls = await countCalls();

beforeAll(async () => {
  // One bundled file starts in a third of the time of its modules, and it is started 600 times.
  await build({
    entryPoints: [join(import.meta.dirname, "real-process.ts")],
    outfile: program,
    bundle: true,
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
  const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise<Pick<Ended, "code" | "signal">>((resolve, reject) => {
    child.once("error", reject).once("close", (code, signal) => resolve({ code, signal }));
  });
  const [printed, complaints, end] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { ...end, output: printed + complaints };
}

/** Kills a run, lets another one continue and a vacuum clean up, and returns the violations. */
async function survive({ call, moment }: Kill): Promise<readonly string[]> {
  const folder = mkdtempSync(join(home, "case-"));
  const now = Date.now();
  const killed = await start(folder, String(now), "run", String(call), moment);
  if (killed.signal !== "SIGKILL") return [`the run was not killed: ${killed.code} ${killed.output}`];
  // The lease of the killed run is over by then; no other sign shows that it is dead.
  const problems: string[] = [];
  for (const [work, later] of [
    ["finish", 2 * MINUTES],
    ["vacuum", 3 * DAYS],
  ] as const) {
    const { code, output } = await start(folder, String(now + later), work);
    if (code !== 0) problems.push(`the ${work} failed: ${code} ${output}`);
  }
  problems.push(...(await judged(folder)));
  rmSync(folder, { recursive: true });
  return problems;
}

/** Returns the violations in a folder. A folder that cannot be read is a violation, too. */
async function judged(folder: string): Promise<readonly string[]> {
  const ledger = new SqliteLedger(join(folder, "ledger.sqlite"));
  const store = new DirectoryStore(join(folder, "numbers"));
  try {
    return await judge({ pipeline: "numbers", shape: SHAPE, ledger, judged: store }, readSights(folder));
  } catch (error) {
    return [`it cannot be judged: ${error instanceof Error ? error.stack : String(error)}`];
  } finally {
    ledger.close();
  }
}

function readSights(folder: string): readonly Sight[] {
  const file = join(folder, "sights.jsonl");
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => JSON.parse(line) as Sight);
}

/** Tries several kills at once and returns the violations of each. */
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
  it("A process makes the calls that a run in memory makes, if it is not killed", async () => {
    const { code, output } = await start(mkdtempSync(join(home, "case-")), String(Date.now()), "run");
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
