import { describe } from "vitest";
import type { Ledger } from "../../../../shared/engine/ports/ledger.ts";
import { byHand } from "./by-hand.suite.ts";
import { claims } from "./claims.suite.ts";
import { ends } from "./end.suite.ts";
import { lease } from "./lease.suite.ts";
import { operations } from "./operations.suite.ts";
import { plans } from "./plan.suite.ts";
import { stages } from "./stages.suite.ts";
import type { LedgerOptions } from "./steps.ts";
import { tasks } from "./tasks.suite.ts";

/**
 * Tests the contract of a ledger. Each adapter runs this suite. `open` returns a new, empty ledger,
 * and several runs may call it.
 */
export function ledgerSuite(name: string, open: () => Promise<Ledger>, options: LedgerOptions = {}): void {
  for (const part of [lease, plans, stages, tasks, claims, ends, byHand, operations])
    describe(`${name} as a ledger`, () => part(open, options));
}
