import { z } from "zod";
import { MillraceError } from "../../shared/contract/errors.ts";
import type { Operation, OperationReports } from "../../shared/engine/operations.ts";
import { invoke, ofBackfill } from "./functions.ts";

const Offset = z.record(z.string(), z.json());
const Newest = z.object({
  incarnation: z.string(),
  batchId: z.number(),
  planId: z.string(),
  start: Offset.optional(),
  end: Offset.optional(),
});
const REPORTS: { readonly [Name in keyof OperationReports]: z.ZodType<unknown> } = {
  adopt: z.object({
    sinkTells: z.boolean(),
    newest: Newest.nullable(),
    from: Offset.nullable(),
    to: Offset.nullable(),
    nextBatchId: z.number(),
    openBatchId: z.number().nullable(),
  }),
  skip: z.object({
    batchId: z.number(),
    attempt: z.number(),
    state: z.string(),
    start: Offset,
    end: Offset,
    hasLanded: z.boolean(),
    rows: z.enum(["kept", "setAside", "forgotten"]),
    aside: z.string().optional(),
  }),
  tryOffset: z.object({ offset: Offset }),
  backfill: z.union([
    z.object({ refused: z.looseObject({ code: z.string(), message: z.string() }) }),
    z.object({ name: z.string(), from: z.string(), to: z.string(), chunk: z.string(), resumed: z.boolean() }),
  ]),
};

/**
 * Lets the pipeline's Finalize function perform an operation, because it has the pipeline's code
 * and the rights on its sink. Errors: `DEPENDENCY_MISSING`, `FUNCTION_FAILED`, `AWS_FAILED`,
 * `NOT_SUPPORTED` if an older version deployed the stack.
 */
export async function operateDeployed<Name extends keyof OperationReports>(
  pipeline: string,
  functionName: string | undefined,
  operation: Extract<Operation, { readonly operation: Name }>,
): Promise<OperationReports[Name]> {
  if (functionName === undefined) {
    throw new MillraceError(
      "NOT_SUPPORTED",
      `pipeline "${pipeline}" was deployed by an older Millrace, which cannot ${operation.operation}`,
      { where: { pipeline }, hint: "Deploy it with this version: `millrace deploy`." },
    );
  }
  const event = { ...operation, ...ofBackfill(pipeline) };
  const report = await invoke(pipeline, functionName, event, REPORTS[operation.operation as Name]);
  return report as OperationReports[Name];
}
