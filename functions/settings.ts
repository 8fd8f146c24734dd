import { type FunctionSettings, parseSettings } from "../shared/aws/settings.ts";
import type { StallPolicy } from "../shared/contract/pipeline.ts";

/** What the construct tells the functions, in the engine's terms. */
export interface Settings extends Omit<FunctionSettings, "stallAfterMilliseconds" | "failStalled"> {
  /** What counts as a stalled partition, over what the pipeline's own file says. */
  readonly stall: Partial<StallPolicy>;
}

/** Error: `SETTING_MISSING`. */
export function readSettings(env: Readonly<Record<string, string | undefined>>): Settings {
  const { stallAfterMilliseconds, failStalled, ...settings } = parseSettings(env);
  return {
    ...settings,
    stall: {
      ...(stallAfterMilliseconds === undefined ? {} : { after: `${stallAfterMilliseconds / 1000}s` }),
      ...(failStalled === undefined ? {} : { fail: failStalled }),
    },
  };
}
