import type { Exception } from "../../exceptions/rewrite.ts";
import type { Step } from "../trace.ts";

/**
 * An intended difference that can be foretold from the recording alone. `rewrite` changes Spark's
 * steps as if Spark behaved like Millrace. The engine must then make exactly these calls.
 */
export interface WriteRewrite extends Exception {
  /** Changes `steps`. Returns true if they had the difference. */
  rewrite(steps: Step[]): boolean;
}
