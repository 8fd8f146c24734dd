import type { Schema } from "apache-arrow";
import { toSchema } from "../contract/ddl/to-schema.ts";
import type { CheckSinkOptions, FirstRows } from "./checks/sink/subject.ts";
import { SINK_TRAPS } from "./checks/sink/traps.ts";
import { runTraps } from "./checks/trap.ts";
import { type CheckReport, Findings } from "./report.ts";
import { Surroundings } from "./surroundings.ts";
import { type SinkTarget, writerFactoriesOf } from "./target.ts";
import type { WriterFactory } from "./writer-factory.ts";

const DEFAULT_SCHEMA = "id bigint NOT NULL, name string";

/**
 * Checks a sink for known mistakes: rows that are visible before the commit, repeated or late
 * commits, incomplete aborts, tasks that run twice, another batch under a used id, and a restart
 * under another incarnation. It writes a few rows to the real target. Resolves if it found no
 * mistake. Error: `CHECK_FAILED`, a `CheckError` that lists each problem and how to fix it.
 */
export async function checkSink(target: SinkTarget, options: CheckSinkOptions = {}): Promise<CheckReport> {
  const surroundings = new Surroundings(options);
  const findings = new Findings("the sink");
  let factories: readonly WriterFactory[] = [];
  let schema: Schema | undefined;
  const isMade = await findings.check("make the sink", async () => {
    schema = toSchema(options.schema ?? DEFAULT_SCHEMA);
    factories = await writerFactoriesOf(target, options, schema, surroundings);
  });
  if (!isMade || schema === undefined) return findings.report();
  const firstRows: FirstRows = new Map();
  for (const factory of factories) {
    const incarnation = surroundings.runtime.newId();
    const { kind, access } = factory;
    // The chain of a table knows the plan of a batch, or the epoch of a stream.
    const knowsBatch = access !== undefined;
    const knowsPlan = knowsBatch && kind === "batch";
    const known = { incarnation, firstRows, expected: 0, knowsBatch, knowsPlan };
    await runTraps(SINK_TRAPS, { factory, schema, options, surroundings, findings, ...known });
  }
  return findings.report();
}
