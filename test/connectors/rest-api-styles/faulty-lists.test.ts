import { afterAll, describe, expect, it } from "vitest";
import { Memory, memoryTable } from "../../../shared/connectors/memory/index.ts";
import { RestApi, type RestApiOptions } from "../../../shared/connectors/rest-api/index.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import { SqliteLedger } from "../../../shared/platform/embedded/sqlite-ledger.ts";
import { type PipelineRun, runPipeline } from "../../../shared/testing/run-pipeline.ts";
import { Surroundings } from "../../../shared/testing/surroundings.ts";
import { generator } from "../../faults/chance.ts";
import { type Behaviour, serveFaulty, TIMEOUT_SECONDS } from "./faulty-api.ts";
import { type Item, STYLES, type Style } from "./styles.ts";

const RUNS = 1000;
const CASES_PER_STYLE = Math.ceil(RUNS / STYLES.length);
/** `MILLRACE_SEED=123 npx vitest run faulty-lists` repeats a run. */
const SEED = Number(process.env["MILLRACE_SEED"] ?? Date.now() % 1_000_000);

const counts = new Map<string, number>();
const count = (what: string): void => void counts.set(what, (counts.get(what) ?? 0) + 1);

afterAll(() => {
  const parts = [...counts].sort().map(([what, times]) => `${times} ${what}`);
  console.log(`lists with faults, seed ${SEED}: ${parts.join(", ")}`);
});

describe.each(STYLES.map((style) => [style.name, style] as const))("%s", (name, style) => {
  it(`Every row of a list with ${name} arrives once or the run is an error, whatever fails`, async () => {
    const of: { behaviour: Behaviour } = { behaviour: calm([]) };
    const api = await serveFaulty(style, of);
    for (let i = 0; i < CASES_PER_STYLE; i++) {
      const seed = SEED + i;
      api.log.length = 0;
      const problem = await runCase(seed, style, api.url, of);
      const trace = () => `seed ${seed}: ${problem}\n${api.log.join("\n")}`;
      expect(problem, problem === undefined ? "" : trace()).toBeUndefined();
    }
  });
});

/** Runs a list to its end. Returns what is wrong with the result, or `undefined`. */
async function runCase(
  seed: number,
  style: Style,
  url: string,
  of: { behaviour: Behaviour },
): Promise<string | undefined> {
  const random = generator(seed * 7919);
  const isStream = random() < 0.5;
  const pageSize = 1 + Math.floor(random() * 12);
  const cap = random() < 0.3 ? 1 + Math.floor(random() * pageSize) : 20;
  const target = { url, pageSize, table: `${style.name} ${seed}`, isStream };
  const after = newState();
  const items: Item[] = [];
  const runs = isStream ? 1 + Math.floor(random() * 3) : 1;
  for (let run = 0; run < runs; run++) {
    const grown = Math.floor(random() * 40);
    for (let i = 0; i < grown; i++) items.push({ id: items.length, name: `row ${items.length}` });
    of.behaviour = { ...faulty(random), items: [...items], cap };
    const limits = { timeoutSeconds: TIMEOUT_SECONDS };
    const { problem, ended } = await runOnce(style, target, limits, { after, items });
    if (problem !== undefined) return `run ${run}: ${problem}`;
    // A batch pipeline that ended would read the whole list again.
    if (ended && !isStream) return undefined;
  }
  of.behaviour = { ...calm(items), cap };
  const { problem, error } = await runOnce(style, target, {}, { after, items });
  return error === undefined ? problem : `the run without faults: ${error.code}: ${error.message}`;
}

function faulty(random: () => number): Omit<Behaviour, "items" | "cap"> {
  return {
    shortPages: random() < 0.3 ? 0.5 : 0,
    faults: random() < 0.8 ? 0.15 : 0,
    brokenFrom: random() < 0.15 ? 1 + Math.floor(random() * 6) : undefined,
    random,
  };
}

interface Ended {
  /** Which rows are doubled, or missing without an error. */
  readonly problem?: string | undefined;
  readonly error?: MillraceError;
  readonly ended: boolean;
}

async function runOnce(
  style: Style,
  target: Target,
  more: Partial<RestApiOptions>,
  { after, items }: { readonly after: PipelineRun; readonly items: readonly Item[] },
): Promise<Ended> {
  try {
    await runPipeline(listPipeline(style, target, more), { after });
    count("runs without an error");
    return { ended: true, problem: wrong(target.table, items, "all") };
  } catch (error) {
    if (!MillraceError.is(error)) throw error;
    count(error.code);
    return { ended: false, error, problem: wrong(target.table, items, "some") };
  }
}

function calm(items: readonly Item[]): Behaviour {
  return { items, cap: 20, shortPages: 0, faults: 0, brokenFrom: undefined, random: () => 1 };
}

function newState(): PipelineRun {
  const surroundings = new Surroundings({ now: "2026-01-01T00:00:00Z" });
  const state = { ledger: new SqliteLedger(":memory:"), surroundings };
  return { batches: [], rows: [], quarantine: [], store: surroundings.store, state };
}

interface Target {
  readonly url: string;
  readonly pageSize: number;
  readonly table: string;
  readonly isStream: boolean;
}

function listPipeline(
  style: Style,
  { url, pageSize, table, isStream }: Target,
  more: Partial<RestApiOptions> = {},
): Pipeline<object> {
  const options: RestApiOptions = {
    url,
    schema: "id bigint NOT NULL, name string NOT NULL",
    pageSize,
    maxPagesPerBatch: 3,
    ...style.options,
    ...more,
  };
  return isStream
    ? pipeline("list")
        .readStream.format(RestApi)
        .options(options)
        .writeStream.format(Memory)
        .options({ table })
    : pipeline("list")
        .read.format(RestApi)
        .options(options)
        .write.format(Memory)
        .options({ table })
        .mode("append");
}

/** Returns how the table differs from the list: all of its rows once, or some of them once. */
function wrong(table: string, items: readonly Item[], how: "all" | "some"): string | undefined {
  const ids = memoryTable(table)
    .rows()
    .map((row) => Number(row["id"]));
  const distinct = new Set(ids);
  if (distinct.size < ids.length) return `${ids.length - distinct.size} rows are doubled`;
  const missing = items.filter(({ id }) => !distinct.has(id)).map(({ id }) => id);
  return how === "all" && missing.length > 0 ? `${missing.length} rows are missing: ${missing}` : undefined;
}
