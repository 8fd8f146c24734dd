import type { Session } from "../kit/postgres/session.ts";
import type { ChangeLayout } from "./staged-changes.ts";
import type { Table } from "./table.ts";

/** How many changes took effect. */
export interface MergeCounts {
  readonly upserted: number;
  readonly deleted: number;
  /** Changes that came later than a newer one of their key, or again. */
  readonly outdated: number;
}

/** What a merge works on in the transaction of its commit. */
export interface Merge {
  readonly session: Session;
  readonly target: Table;
  /** The side table. */
  readonly side: Table;
  readonly layout: ChangeLayout;
  readonly plannedAt: number;
  readonly tombstonesKeptMilliseconds: number;
}
