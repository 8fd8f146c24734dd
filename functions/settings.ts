import { type FunctionSettings, parseSettings } from "../shared/aws/settings.ts";
import type { StallPolicy } from "../shared/contract/pipeline-definition.ts";

/** The settings that the construct passes to the functions. */
export interface Settings extends Omit<FunctionSettings, "stallAfterMilliseconds" | "failStalled"> {
  /** When a partition counts as stalled. Overrides the pipeline's own settings. */
  readonly stall: Partial<StallPolicy>;
}

/** Reads the settings from environment variables. Error: `SETTING_MISSING`. */
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
