import { acquire } from "./plan.ts";
import type { Fence, Owner, Rewind } from "./ports/ledger.ts";
import type { Ports } from "./ports/runtime.ts";
import { callOrReadBack } from "./retry.ts";

/**
 * The lease only has to cover the single step of a rewind. If the process dies in it, other runs
 * wait no longer than this.
 */
const LEASE_MILLISECONDS = 60_000;

export interface RewindRequest {
  readonly pipeline: string;
  readonly rewind: Rewind;
  readonly owner: Owner;
  /**
   * Returns true only if it is certain that this owner has ended. Its lease is then taken over at
   * once.
   */
  hasEnded(owner: Owner): Promise<boolean>;
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
  const { pipeline, owner, hasEnded } = request;
  const { by, at } = request.rewind;
  const { epoch } = await acquire(pipeline, ports, {
    owner,
    hasEnded,
    leaseMilliseconds: LEASE_MILLISECONDS,
  });
  const fence: Fence = { pipeline, epoch };
  try {
    await callOrReadBack<unknown>(
      () => ledger.rewind(fence, request.rewind),
      async () => {
        const [last] = await ledger.journal(pipeline, { limit: 1 });
        return last?.action === "rewind" && last.by === by && last.at === at ? last : undefined;
      },
    );
  } finally {
    await ledger.release(fence).catch(() => undefined);
  }
}
