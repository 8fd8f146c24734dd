import { commandSteps } from "./rewrites/commands.ts";
import { abortAgain } from "./rewrites/ends.ts";
import { noCatalog, updateMode, v1Save } from "./rewrites/refusals.ts";
import type { WriteRewrite } from "./rewrites/rewrite.ts";
import { chainRepeated, exchangedFirst, toldInFinalize, v1Staged } from "./rewrites/steps.ts";
import { stopLeavesOpen } from "./rewrites/stop.ts";
import type { Step } from "./trace.ts";

/** In the order in which they are applied. */
export const WRITE_REWRITES: readonly WriteRewrite[] = [
  noCatalog,
  updateMode,
  v1Save,
  toldInFinalize,
  v1Staged,
  chainRepeated,
  exchangedFirst,
  commandSteps,
  stopLeavesOpen,
  abortAgain,
];

/**
 * Returns the steps as they are expected of Millrace, and the ids of the rewrites that were used.
 */
export function rewrittenSteps(recorded: readonly Step[]): {
  readonly expected: Step[];
  readonly used: readonly string[];
} {
  const expected = structuredClone([...recorded]);
  const used = WRITE_REWRITES.filter((rule) => rule.rewrite(expected)).map(({ id }) => id);
  return { expected, used };
}
