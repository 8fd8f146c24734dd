import type { Schema } from "apache-arrow";
import { recordBatchOf } from "../arrow/record-batches.ts";
import type { ConfiguredSource } from "../contract/configured.ts";
import type { DataSource } from "../contract/data-source.ts";
import { toSchema } from "../contract/ddl/to-schema.ts";
import { MillraceError } from "../contract/errors.ts";
import { kindOf } from "../contract/json.ts";
import { parseOptions } from "../contract/options/parse.ts";
import { Pipeline } from "../contract/pipeline.ts";
import type { Row } from "../contract/stream-reader.ts";
import { rowPipeline } from "../engine/steps/row-pipeline.ts";
import { BATCHES } from "./checks/steps/batches.ts";
import { REPEATABLE } from "./checks/steps/repeatable.ts";
import type { StepsSubject } from "./checks/steps/subject.ts";
import { runTraps } from "./checks/trap.ts";
import { type CheckReport, Findings } from "./report.ts";
import { sampleRows } from "./samples.ts";
import { Surroundings, type SurroundingsOptions } from "./surroundings.ts";

/** Options of `checkSteps`. */
export interface CheckStepsOptions extends SurroundingsOptions {
  /** Rows of the source with which the steps are tried. Default: 20 rows that are made up. */
  readonly rows?: readonly Row[];
}

const SAMPLES = 20;

/**
 * Checks the steps of a pipeline, or of the source of a merge: runs them twice on the same rows,
 * and on record batches that are cut in other places. Resolves if each time they made the same
 * rows. Error: `CHECK_FAILED`, a `CheckError` that lists each problem and how to fix it.
 */
export async function checkSteps(
  target: Pipeline<never> | { readonly configured: ConfiguredSource },
  options: CheckStepsOptions = {},
): Promise<CheckReport> {
  const source = sourceOf(target);
  const findings = new Findings("the list of steps");
  let subject: StepsSubject | undefined;
  await findings.check("make the rows", async () => {
    const schema = await schemaOf(source, new Surroundings(options));
    const rows = options.rows ?? sampleRows(schema, 0, SAMPLES);
    const steps = rowPipeline(schema, source.steps ?? [], {});
    subject = { steps, batch: recordBatchOf(schema, rows), findings };
  });
  if (subject !== undefined) await runTraps([REPEATABLE, BATCHES], subject);
  return findings.report();
}

function sourceOf(target: unknown): ConfiguredSource {
  const found = Pipeline.is(target)
    ? target.command?.command === "MERGE"
      ? target.command.source
      : target.source
    : (target as { readonly configured?: ConfiguredSource } | undefined)?.configured;
  if (found?.steps !== undefined) return found;
  const given = found === undefined ? kindOf(target) : "a source without steps";
  throw new MillraceError("CHECK_INVALID", `checkSteps was given ${given}`, {
    hint: 'Give a pipeline whose source has steps: pipeline("name").readStream.format(…).map(…).writeStream.format(…).',
  });
}

async function schemaOf(
  { dataSource, options, schema }: ConfiguredSource,
  surroundings: Surroundings,
): Promise<Schema> {
  if (schema !== undefined) return toSchema(schema);
  const parsed = await parseOptions(dataSource, options);
  const made: DataSource<object> = new dataSource(parsed as never, surroundings.dataSourceRuntime());
  return toSchema(await made.schema());
}
