import { runtime } from "../../local/home.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import type { ObjectStore } from "../../shared/contract/object-store.ts";
import type { Head, Lease, Ledger, Owner } from "../../shared/engine/ports/ledger.ts";

/**
 * A set of pipelines: those of a local home, of a stack, or of a DynamoDB table with their ledgers.
 */
export interface Target {
  /** The target's description for messages: `in stack Orders`. */
  readonly place: string;
  /** Returns the names of its pipelines, sorted. */
  names(): Promise<readonly string[]>;
  /** Returns the ledger of a pipeline, or `undefined` if the target does not have the pipeline. */
  ledgerOf(pipeline: string): Promise<Ledger | undefined>;
  /** Returns the store of a pipeline, or `undefined` if the target does not know it. */
  storeOf(pipeline: string): ObjectStore | undefined;
  /** Returns the log of a pipeline's runs, or `undefined` if they do not run on this machine. */
  logPath(pipeline: string): string | undefined;
  /** Returns true if the owner of a lease has certainly ended. */
  hasEnded(owner: Owner): Promise<boolean>;
  /** Makes this process an owner of leases until `end` is called. */
  claim(description: string): Claim;
  close(): void;
}

export interface Claim {
  readonly owner: Owner;
  end(): void;
}

/** A pipeline and its ledger. */
export interface TargetPipeline {
  readonly name: string;
  readonly ledger: Ledger;
}

/** Returns the methods that targets with a single ledger share. */
export function ledgerTarget(ledger: Ledger, place: string): Pick<Target, "place" | "names" | "ledgerOf"> {
  return {
    place,
    names: () => ledger.pipelines(),
    ledgerOf: async (pipeline) => ((await ledger.head(pipeline)) === undefined ? undefined : ledger),
  };
}

/** Returns the pipeline with this name. Error: `PIPELINE_NOT_FOUND`. */
export async function findPipeline(target: Target, name: string): Promise<TargetPipeline> {
  const ledger = await target.ledgerOf(name);
  if (ledger !== undefined) return { name, ledger };
  const names = (await target.names()).join(", ");
  throw new MillraceError(
    "PIPELINE_NOT_FOUND",
    `there is no pipeline "${name}" ${target.place} (${names === "" ? "there is none at all" : `there is ${names}`})`,
    { hint: "Check the name, and --home, --stack or --table." },
  );
}

/** Returns the pipeline with this name, or all pipelines. Error: `PIPELINE_NOT_FOUND`. */
export async function findPipelines(
  target: Target,
  name: string | undefined,
): Promise<readonly TargetPipeline[]> {
  const names = name === undefined ? await target.names() : [name];
  return await Promise.all(names.map((each) => findPipeline(target, each)));
}

/**
 * Returns the pipeline with this name or, without a name, the only one. Errors:
 * `PIPELINE_NOT_FOUND`, `USAGE` if there are several.
 */
export async function findOnlyPipeline(target: Target, name: string | undefined): Promise<TargetPipeline> {
  if (name !== undefined) return await findPipeline(target, name);
  const [only, ...others] = await target.names();
  if (only === undefined) {
    throw new MillraceError("PIPELINE_NOT_FOUND", `there is no pipeline ${target.place}`, {
      hint: "Check --home, --stack or --table.",
    });
  }
  if (others.length === 0) return await findPipeline(target, only);
  throw new MillraceError(
    "USAGE",
    `there are several pipelines ${target.place}: ${[only, ...others].join(", ")}`,
    {
      hint: "Name one of them.",
    },
  );
}

/** Returns the head of a pipeline that has run. Error: `PIPELINE_NOT_FOUND`. */
export async function requireHead({ name, ledger }: TargetPipeline): Promise<Head> {
  const head = await ledger.head(name);
  if (head !== undefined) return head;
  throw new MillraceError("PIPELINE_NOT_FOUND", `pipeline "${name}" has not run yet`, {
    where: { pipeline: name },
    hint: "There is nothing to look at or to change before its first run.",
  });
}

/** Returns the lease, or `undefined` if it has expired or its owner has ended. */
export async function liveLease(target: Target, { lease }: Head): Promise<Lease | undefined> {
  if (lease === undefined || lease.expiresAt <= runtime.now()) return undefined;
  return (await target.hasEnded(lease.owner)) ? undefined : lease;
}
