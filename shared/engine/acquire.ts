import { MillraceError } from "../contract/errors.ts";
import type { Fence, Head, Owner } from "./ports/ledger.ts";
import type { Ports } from "./ports/runtime.ts";

export interface LeaseRequest {
  readonly owner: Owner;
  readonly leaseMilliseconds: number;
  /**
   * Returns true only if it is certain that this owner has ended. Its lease is then taken over at
   * once.
   */
  hasEnded(owner: Owner): Promise<boolean>;
}

/** Returns the proof that the run which acquired this head holds the pipeline. */
export function fenceOf({ pipeline, incarnation, epoch }: Head): Fence {
  return { pipeline, incarnation, epoch };
}

/**
 * Acquires the lease. If another owner holds it and has certainly ended, takes the lease over.
 * Throws `LEASE_HELD`.
 */
export async function acquire(
  pipeline: string,
  ports: Pick<Ports, "ledger" | "runtime">,
  request: LeaseRequest,
): Promise<Head> {
  const { runtime } = ports;
  const attempt = (takeOver: { takeOver?: Fence }) =>
    ports.ledger.acquire({
      pipeline,
      owner: request.owner,
      now: runtime.now(),
      leaseMilliseconds: request.leaseMilliseconds,
      newIncarnation: runtime.newId(),
      ...takeOver,
    });
  let result = await attempt({});
  const holder = result.head.lease?.owner;
  if (!result.acquired && holder !== undefined && (await request.hasEnded(holder))) {
    result = await attempt({ takeOver: fenceOf(result.head) });
  }
  if (result.acquired) return result.head;
  const { lease } = result.head;
  throw new MillraceError(
    "LEASE_HELD",
    `pipeline "${pipeline}" is being run by ${lease?.owner.description ?? "another run"}`,
    {
      where: { pipeline },
      hint: `Wait until that run has ended, or stop it. One that is certainly dead: \`millrace unlock ${pipeline}\`.`,
    },
  );
}

/**
 * The lease of a manual operation only has to cover a few steps. If the process dies in it, other
 * runs wait no longer than this.
 */
export const MANUAL_LEASE_MILLISECONDS = 60_000;

/**
 * Runs a manual operation on a pipeline that is not running. Throws `LEASE_HELD`, and the errors of
 * `operation`.
 */
export async function withLease<T>(
  pipeline: string,
  ports: Pick<Ports, "ledger" | "runtime">,
  request: Omit<LeaseRequest, "leaseMilliseconds">,
  operation: (head: Head, fence: Fence) => Promise<T>,
): Promise<T> {
  const head = await acquire(pipeline, ports, {
    ...request,
    leaseMilliseconds: MANUAL_LEASE_MILLISECONDS,
  });
  const fence = fenceOf(head);
  try {
    return await operation(head, fence);
  } finally {
    // Without the release the next run would first have to find out that this process has ended.
    await ports.ledger.release(fence).catch(() => undefined);
  }
}
