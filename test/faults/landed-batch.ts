import type { CommittedBatch } from "../../shared/contract/batch-identity.ts";

/** A batch in the database, with its rows. */
export interface LandedBatch extends CommittedBatch {
  readonly ids: readonly number[];
}
