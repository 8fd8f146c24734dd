import { Home, runtime } from "../local/home.ts";
import { hasEnded, OwnerLock } from "../local/owner-lock.ts";
import { acquire, MANUAL_LEASE_MILLISECONDS } from "../shared/engine/acquire.ts";
import { type Operation, type OperationReports, operate } from "../shared/engine/operations.ts";
import type { Owner } from "../shared/engine/ports/ledger.ts";
import { openSessions } from "../shared/engine/sessions/open-sessions.ts";
import { loadDefinition } from "./definitions.ts";
import { reserveStdout } from "./render/terminal.ts";
import type { StackTarget } from "./targets/deployed.ts";
import { openStack, type TargetFlags } from "./targets/open.ts";
import { findPipeline } from "./targets/target.ts";

type Of<Name extends Operation["operation"]> = Extract<Operation, { readonly operation: Name }>;

/** A pipeline on which operations are performed, here or in a stack. */
export interface Operator {
  readonly name: string;
  /** Runs the operation where the pipeline's code and rights are. */
  run<Name extends Operation["operation"]>(operation: Of<Name>): Promise<OperationReports[Name]>;
  /** Makes this process an owner of leases while `body` runs. */
  asOwner<T>(description: string, body: (owner: Owner) => Promise<T>): Promise<T>;
}

/**
 * Calls `body` with the pipeline that the flags choose: by its name, or by its file for one whose
 * home does not know it any more.
 */
export async function withOperator<T>(
  nameOrFile: string,
  flags: TargetFlags,
  body: (operator: Operator) => Promise<T>,
): Promise<T> {
  // The package is loaded first, so that a missing one is reported before any request to AWS.
  if (flags.stack !== undefined) await (await import("./deployed/functions.ts")).loadLambda();
  const stack = await openStack(flags);
  return stack === undefined
    ? await withLocal(nameOrFile, flags, body)
    : await body(await deployedOperator(stack, nameOrFile));
}

async function withLocal<T>(
  nameOrFile: string,
  flags: TargetFlags,
  body: (operator: Operator) => Promise<T>,
): Promise<T> {
  const home = new Home(flags.home);
  const { pipeline } = await loadDefinition(home, nameOrFile);
  const ledger = await home.openLedger({ create: true });
  try {
    const ports = home.ports(pipeline.name, ledger);
    const sessions = await openSessions(pipeline, ports);
    try {
      return await body({
        name: pipeline.name,
        async run<Name extends Operation["operation"]>(operation: Of<Name>) {
          // What the pipeline's code prints must not be taken for the command's own output.
          const restoreStdout = reserveStdout();
          try {
            const isOver = (owner: Owner) => hasEnded(home.ownersFolder, owner);
            return (await operate(sessions, ports, operation, isOver)) as OperationReports[Name];
          } finally {
            restoreStdout();
          }
        },
        async asOwner(description, work) {
          const lock = new OwnerLock(home.ownersFolder, runtime.newId(), description);
          try {
            return await work(lock.owner);
          } finally {
            lock.release();
          }
        },
      });
    } finally {
      await sessions.source.stop();
    }
  } finally {
    ledger.close();
  }
}

async function deployedOperator(stack: StackTarget, pipeline: string): Promise<Operator> {
  const { name, ledger } = await findPipeline(stack, pipeline);
  const { operateDeployed } = await import("./deployed/operate.ts");
  return {
    name,
    run: async (operation) => await operateDeployed(name, stack.deployed(name).finalizeFunction, operation),
    async asOwner(description, work) {
      const { owner, end } = stack.claim(description);
      try {
        // The function acquires the lease again, as the same owner.
        await acquire(
          name,
          { ledger, runtime },
          { owner, hasEnded: stack.hasEnded, leaseMilliseconds: MANUAL_LEASE_MILLISECONDS },
        );
        return await work(owner);
      } finally {
        end();
      }
    },
  };
}
