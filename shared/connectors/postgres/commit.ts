import type { BatchContext } from "../../contract/context.ts";
import type { Server } from "../kit/postgres/connection.ts";
import type { Session } from "../kit/postgres/session.ts";
import { dropStaged, type StagedRows } from "../kit/staging.ts";
import type { BatchesTable } from "./batches-table.ts";

/**
 * Runs `body` in one transaction that also records the batch. If the batch is already committed,
 * `body` does not run. Returns its result, or `undefined`. Errors: those of `BatchesTable.record`.
 */
export async function commitOnce<T>(
  server: Server,
  batches: BatchesTable,
  batch: BatchContext,
  body: (session: Session) => Promise<T>,
): Promise<T | undefined> {
  return await server.use(async (session) => {
    await batches.make(session);
    return await session.transaction("READ WRITE", async () =>
      (await batches.record(session, batch)) ? await body(session) : undefined,
    );
  });
}

/**
 * Like `commitOnce`, for a batch with staged files, which are deleted afterwards. A batch without
 * messages was skipped, so its `body` does not run.
 */
export async function commitStaged<T>(
  server: Server,
  batches: BatchesTable,
  messages: readonly (StagedRows | null)[],
  batch: BatchContext,
  body: (session: Session) => Promise<T>,
): Promise<T | undefined> {
  const result = await commitOnce(server, batches, batch, async (session) =>
    messages.length === 0 ? undefined : await body(session),
  );
  // The batch is committed, so its staged files are not needed any more. If this fails, `vacuum`
  // removes them.
  await dropStaged(messages, batch).catch(() => undefined);
  return result;
}
