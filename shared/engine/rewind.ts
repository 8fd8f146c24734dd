import { acquire } from "./plan.ts";
import type { Fence, Owner, Rewind } from "./ports/ledger.ts";
import type { Ports } from "./ports/runtime.ts";
import { confirmed } from "./retry.ts";

/**
 * For the one step that it takes; a process that dies in it keeps others waiting no longer than
 * this.
 */
const LEASE_MILLISECONDS = 60_000;

export interface RewindRequest {
  readonly pipeline: string;
  readonly rewind: Rewind;
  readonly owner: Owner;
  /** True only where this owner has provably ended: its lease is then taken over at once. */
  hasEnded(owner: Owner): Promise<boolean>;
}

/**
 * Moves the offset of a pipeline that nobody runs. Errors: `LEASE_HELD`, `FENCED`, `BATCH_OPEN`,
 * `LEDGER_CONFLICT` where the offset has moved.
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
    await confirmed<unknown>(
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
