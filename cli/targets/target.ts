import { Home, runtime } from "../../local/home.ts";
import { hasEnded, OwnerLock } from "../../local/owner-lock.ts";
import { MillraceError } from "../../shared/contract/errors.ts";
import type { ObjectStore } from "../../shared/contract/object-store.ts";
import type { Head, Lease, Ledger, Owner } from "../../shared/engine/ports/ledger.ts";
import { DirectoryStore } from "../../shared/platform/embedded/directory-store.ts";
import type { StackTarget } from "./deployed.ts";

/** The flags that say where pipelines are. */
export interface TargetFlags {
  readonly home: string;
  readonly stack?: string;
  readonly table?: string;
}

/** Where pipelines are: a home here, a stack, or a table that holds their ledgers. */
export interface Target {
  /** For messages: `in stack Orders`. */
  readonly place: string;
  /** Names of its pipelines, sorted. */
  names(): Promise<readonly string[]>;
  /** The ledger of a pipeline, where the target has it. */
  ledgerOf(pipeline: string): Promise<Ledger | undefined>;
  /** The store of a pipeline, where the target knows it. */
  storeOf(pipeline: string): ObjectStore | undefined;
  /** True where the owner of a lease has provably ended. */
  hasEnded(owner: Owner): Promise<boolean>;
  /** Makes this process an owner of leases, until `end`. */
  claim(description: string): Claim;
  close(): void;
}

export interface Claim {
  readonly owner: Owner;
  end(): void;
}

/** A pipeline of a target. */
export interface Found {
  readonly name: string;
  readonly ledger: Ledger;
}

/** Does `body` with the target that the flags name. */
export async function withTarget<T>(flags: TargetFlags, body: (target: Target) => Promise<T>): Promise<T> {
  const target = await openTarget(flags);
  try {
    return await body(target);
  } finally {
    target.close();
  }
}

/** The stack of `--stack`; nothing where the command is to work here. Error: `USAGE` where there is but `--table`. */
export async function openStack(flags: TargetFlags): Promise<StackTarget | undefined> {
  if (flags.stack !== undefined) {
    // The AWS SDK is loaded only where it is needed: it takes longer than most commands here.
    const { stackTarget } = await import("./deployed.ts");
    return await stackTarget(flags.stack);
  }
  if (flags.table === undefined) return undefined;
  throw new MillraceError("USAGE", "a table alone cannot run anything: this command needs --stack", {
    hint: "Name the CloudFormation stack that deploys the pipeline: --stack NAME.",
  });
}

async function openTarget(flags: TargetFlags): Promise<Target> {
  if (flags.table === undefined) return (await openStack(flags)) ?? (await homeTarget(flags.home));
  const { tableTarget } = await import("./deployed.ts");
  return tableTarget(flags.table);
}

async function homeTarget(folder: string): Promise<Target> {
  const home = new Home(folder);
  const ledger = await home.openLedger({ create: false });
  return {
    ...ledgerTarget(ledger, `in ${home.root}`),
    storeOf: (pipeline) => new DirectoryStore(home.pipelineFolder(pipeline)),
    hasEnded: (owner) => hasEnded(home.ownersFolder, owner),
    claim(description) {
      const lock = new OwnerLock(home.ownersFolder, runtime.newId(), description);
      return { owner: lock.owner, end: () => lock.release() };
    },
    close: () => ledger.close(),
  };
}

/** What targets of a single ledger have in common. */
export function ledgerTarget(ledger: Ledger, place: string): Pick<Target, "place" | "names" | "ledgerOf"> {
  return {
    place,
    names: () => ledger.pipelines(),
    ledgerOf: async (pipeline) => ((await ledger.head(pipeline)) === undefined ? undefined : ledger),
  };
}

/** The pipeline of that name. Error: `PIPELINE_NOT_FOUND`. */
export async function find(target: Target, name: string): Promise<Found> {
  const ledger = await target.ledgerOf(name);
  if (ledger !== undefined) return { name, ledger };
  const names = (await target.names()).join(", ");
  throw new MillraceError(
    "PIPELINE_NOT_FOUND",
    `there is no pipeline "${name}" ${target.place} (${names === "" ? "there is none at all" : `there is ${names}`})`,
    { hint: "Check the name, and --home, --stack or --table." },
  );
}

/** The pipeline of that name, or all. */
export async function findSome(target: Target, name: string | undefined): Promise<readonly Found[]> {
  const names = name === undefined ? await target.names() : [name];
  return await Promise.all(names.map((each) => find(target, each)));
}

/** The pipeline of that name; without a name the only one. Errors: `PIPELINE_NOT_FOUND`, `USAGE` where there are several. */
export async function findOne(target: Target, name: string | undefined): Promise<Found> {
  if (name !== undefined) return await find(target, name);
  const [only, ...others] = await target.names();
  if (only === undefined) {
    throw new MillraceError("PIPELINE_NOT_FOUND", `there is no pipeline ${target.place}`, {
      hint: "Check --home, --stack or --table.",
    });
  }
  if (others.length === 0) return await find(target, only);
  throw new MillraceError(
    "USAGE",
    `there are several pipelines ${target.place}: ${[only, ...others].join(", ")}`,
    {
      hint: "Name one of them.",
    },
  );
}

/** The head of a pipeline that has run. Error: `PIPELINE_NOT_FOUND`. */
export async function headOf({ name, ledger }: Found): Promise<Head> {
  const head = await ledger.head(name);
  if (head !== undefined) return head;
  throw new MillraceError("PIPELINE_NOT_FOUND", `pipeline "${name}" has not run yet`, {
    where: { pipeline: name },
    hint: "There is nothing to look at or to change before its first run.",
  });
}

/** The lease, where its holder may be at work. */
export async function liveLease(target: Target, { lease }: Head): Promise<Lease | undefined> {
  if (lease === undefined || lease.expiresAt <= runtime.now()) return undefined;
  return (await target.hasEnded(lease.owner)) ? undefined : lease;
}
