import { type LeaseRequest, withLease } from "./acquire.ts";
import { checkOffsetSize } from "./limits.ts";
import type { Rewind } from "./ports/manual-operations.ts";
import type { Ports } from "./ports/runtime.ts";
import { callOrReadBack } from "./retry.ts";

export interface RewindRequest extends Omit<LeaseRequest, "leaseMilliseconds"> {
  readonly pipeline: string;
  readonly rewind: Rewind;
}

/**
 * Moves the offset of a pipeline that is not running. Throws `LEASE_HELD`, `FENCED`, `BATCH_OPEN`,
 * or `LEDGER_CONFLICT` if the offset has changed since the person looked at it.
 */
export async function rewind(
  ports: Pick<Ports, "ledger" | "runtime">,
  request: RewindRequest,
): Promise<void> {
  const { ledger } = ports;
  const { pipeline } = request;
  const { by, at, to } = request.rewind;
  checkOffsetSize(ledger, to, "the rewind", { pipeline });
  await withLease(pipeline, ports, request, async (_head, fence) => {
    await callOrReadBack<unknown>(
      () => ledger.rewind(fence, request.rewind),
      async () => {
        const [last] = await ledger.journal(pipeline, { limit: 1 });
        return last?.action === "rewind" && last.by === by && last.at === at ? last : undefined;
      },
    );
  });
}
