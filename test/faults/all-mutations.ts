import { COORDINATION_MUTATIONS } from "./coordination-mutations.ts";
import { EXCHANGE_MUTATIONS } from "./exchange-mutations.ts";
import { LATE_MUTATIONS } from "./late-mutations.ts";
import type { Mutation } from "./mutation.ts";
import { RULE_MUTATIONS } from "./mutations.ts";
import { OLDER_LEDGER_MUTATIONS } from "./older-ledger-mutations.ts";
import { PAUSE_MUTATIONS } from "./pause-mutations.ts";
import { PROBE_MUTATIONS } from "./probe-mutations.ts";
import { ROW_LEVEL_MUTATIONS } from "./row-level-mutations.ts";

/** Each rule that is removed from the engine. */
export const MUTATIONS: readonly Mutation[] = [
  ...RULE_MUTATIONS,
  ...LATE_MUTATIONS,
  ...OLDER_LEDGER_MUTATIONS,
  ...PROBE_MUTATIONS,
  ...COORDINATION_MUTATIONS,
  ...EXCHANGE_MUTATIONS,
  ...ROW_LEVEL_MUTATIONS,
  ...PAUSE_MUTATIONS,
];
