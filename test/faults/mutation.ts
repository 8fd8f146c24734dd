import type { Edit } from "./mutate.ts";
import type { CaseName } from "./named-cases.ts";
import type { ProbeName } from "./probes.ts";

/** A rule that is removed from the engine, and the case or the probe that fails without it. */
export interface Mutation {
  /** Number of the rule in docs/protocol.md, or `mistake` if the rules do not mention it. */
  readonly rule: string;
  readonly what: string;
  readonly caughtBy: CaseName | ProbeName;
  /** Part of the text of the violation that this case or probe shows. */
  readonly shows: string;
  readonly edits: readonly Edit[];
}
