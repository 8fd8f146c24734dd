import type { VacuumEvent } from "../shared/aws/state.ts";
import { type VacuumReport, vacuum } from "../shared/engine/vacuum.ts";
import { logger } from "./environment.ts";
import { lambdaHandler, type Opened } from "./lambda-handler.ts";

const DAY_MILLISECONDS = 86_400_000;

/** Removes files that no batch needs any more. It is safe while the pipeline is running. */
export const handler = lambdaHandler(
  "vacuum",
  async (event: VacuumEvent, { sessions, ports }: Opened): Promise<VacuumReport> => {
    const { olderThan = DAY_MILLISECONDS, dryRun = false } = event;
    const report = await vacuum(sessions, ports, { olderThan, dryRun });
    logger.info("vacuumed", { dryRun, ...report });
    return report;
  },
);
