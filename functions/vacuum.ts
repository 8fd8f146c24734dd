import type { Context } from "aws-lambda";
import type { VacuumEvent } from "../shared/aws/state.ts";
import { type VacuumReport, vacuum } from "../shared/engine/vacuum.ts";
import { logger } from "./environment.ts";
import { lambdaHandler, type Opened } from "./lambda-handler.ts";

const DAY_MILLISECONDS = 86_400_000;
/** Time that is kept for ending a page and storing the position. */
const END_MILLISECONDS = 30_000;

/**
 * Removes files that no batch needs any more. It is safe while the pipeline is running. It stops
 * before its own time is over, and the next call goes on.
 */
export const handler = lambdaHandler(
  "vacuum",
  async (event: VacuumEvent, { sessions, ports }: Opened, lambda: Context): Promise<VacuumReport> => {
    const { olderThan = DAY_MILLISECONDS, dryRun = false } = event;
    const left = lambda.getRemainingTimeInMillis();
    const signal = AbortSignal.timeout(Math.max(left / 2, left - END_MILLISECONDS));
    const report = await vacuum(sessions, ports, { olderThan, dryRun, signal });
    logger.info("vacuumed", { dryRun, ...report });
    return report;
  },
);
