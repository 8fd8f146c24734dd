import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { stepOf } from "./batch-step.ts";
import { compare, TOLERANCES } from "./compare.ts";
import { BATCH_REWRITES } from "./exceptions/batch-actions.ts";
import type { Exception } from "./exceptions/rewrite.ts";
import { REWRITES, rewritten } from "./exceptions.ts";
import { replay } from "./replay.ts";
import type { Result } from "./result.ts";
import { isKnownBad, NOT_BUILT, SOURCES } from "./sources.ts";
import {
  isBatchTrace,
  type Recording,
  type Run,
  readRecording,
  runsOf,
  unknownDriverEntries,
} from "./trace.ts";
import { WRITE_TOLERANCES } from "./write/compare.ts";
import { conformWrite } from "./write/conform.ts";
import { WRITE_REWRITES } from "./write/rewrites.ts";
import { isWriteTrace, type Recording as WriteRecording } from "./write/trace.ts";

/** Every intended difference from Spark. */
export const EXCEPTIONS: readonly Exception[] = [
  ...Object.values(TOLERANCES),
  ...REWRITES,
  ...BATCH_REWRITES,
  ...Object.values(WRITE_TOLERANCES),
  ...WRITE_REWRITES,
];

/**
 * Returns the paths of the JSON files in a folder of recordings. Throws if the folder is missing or
 * empty.
 */
export function recordingsIn(folder: string): readonly string[] {
  const files = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(".json")) : [];
  if (files.length === 0) throw new Error(`there are no recordings in ${folder}`);
  return files.sort().map((name) => join(folder, name));
}

/** Replays the recording in a file with the engine and compares the calls. */
export async function conform(path: string): Promise<Result> {
  const nothing = { scenario: basename(path, ".json"), calls: 0, exceptions: [] };
  try {
    const recording = readRecording(path);
    if (recording !== undefined) return await conformAny(recording);
    return { ...nothing, verdict: "no trace", detail: "no recorded calls in it" };
  } catch (error) {
    // The error counts as a difference, and the other recordings still run.
    return { ...nothing, verdict: "differs", detail: `it cannot be replayed: ${String(error)}` };
  }
}

async function conformAny(recording: Recording): Promise<Result> {
  const written = recording as unknown as WriteRecording;
  return isWriteTrace(written.trace) ? await conformWrite(written) : await conformRecording(recording);
}

/** Replays a recording of the Python API with the engine and compares the calls. */
export async function conformRecording(recording: Recording): Promise<Result> {
  const { scenario } = recording;
  const missing = findMissing(recording);
  if (missing !== undefined)
    return { scenario, calls: 0, exceptions: [], verdict: "not built", detail: missing };
  const runs = runsOf(recording.trace);
  const { expected, used } = rewritten(runs);
  const { calls, used: tolerated, difference } = compare(expected, await replay(expected));
  const result = { scenario, calls, exceptions: [...tolerated, ...used] };
  return difference === undefined
    ? { ...result, verdict: "same" }
    : { ...result, verdict: "differs", detail: difference };
}

/**
 * Returns the feature that the scenario needs and that Millrace does not have yet, or `undefined`.
 */
function findMissing({ trace }: Recording): string | undefined {
  if (isBatchTrace(trace)) return findUnknownStep(runsOf(trace));
  const [unknown] = unknownDriverEntries(trace);
  if (unknown !== undefined) return `the driver's "${unknown}"`;
  return runsOf(trace)
    .map(findMissingIn)
    .find((missing) => missing !== undefined);
}

function findMissingIn({ start, source, made }: Run): string | undefined {
  if (JSON.stringify(start.trigger).includes("continuous")) return "the continuous trigger";
  const reason = NOT_BUILT.get(source);
  if (reason !== undefined) return reason;
  if (!SOURCES.has(source)) return `the source "${source}", which is not in sources.py`;
  if (source === "Bad" && !isKnownBad(start.ropts)) return "these options of Bad, which is not in sources.py";
  const schemas = made.filter(({ args }) => args["schema"] !== undefined);
  if (new Set(schemas.map(({ args }) => args["schema"])).size > 1) return "queries that change the rows";
  const sinks = made.filter(({ call, args }) => call === "DataSource.__init__" && args["cls"] !== source);
  const other = sinks.find(({ args }) => args["cls"] !== "Src");
  return other && `the sink "${String(other.args["cls"])}", which is not in sources.py`;
}

/** Describes the first action of a batch that made no calls and so cannot be replayed. */
function findUnknownStep(runs: readonly Run[]): string | undefined {
  const { expected } = rewritten(runs);
  const unknown = expected.find((run) => stepOf(run, expected) === undefined);
  return unknown === undefined
    ? undefined
    : `the driver's "${unknown.start.label}", of which there are no calls`;
}

/** Returns the table of results: one line per scenario, and the meaning of its exceptions. */
export function table(results: readonly Result[]): string {
  const head = ["scenario", "calls compared", "verdict", "exceptions used"];
  const rows = results.map(({ scenario, calls, verdict, exceptions, detail }) => [
    scenario,
    calls === 0 ? "-" : String(calls),
    detail === undefined || verdict === "differs" ? verdict : `${verdict}: ${detail}`,
    exceptions.join(" ") || "-",
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd();
  const used = EXCEPTIONS.filter(({ id }) => results.some(({ exceptions }) => exceptions.includes(id)));
  const differing = results.filter(({ verdict }) => verdict === "differs");
  return [
    line(head),
    line(widths.map((width) => "-".repeat(width))),
    ...rows.map(line),
    "",
    ...used.map(({ id, reason }) => `${id}: ${reason}`),
    ...differing.map(({ scenario, detail }) => `\n${scenario} differs: ${detail}`),
  ].join("\n");
}
