import type { SFNClient } from "@aws-sdk/client-sfn";
import { describe, expect, it } from "vitest";
import { hasEnded } from "../../../shared/platform/aws/executions.ts";

const STANDARD = "arn:aws:states:eu-central-1:123456789012:execution:Shop-Orders:1";
const EXPRESS = "arn:aws:states:eu-central-1:123456789012:express:Shop-Orders-express:1:2";

/**
 * Returns a client whose executions all have this state, and a list of the executions that were
 * described.
 */
function clientOf(status: string | Error) {
  const asked: unknown[] = [];
  const send = async ({ input }: { readonly input: unknown }) => {
    asked.push(input);
    if (status instanceof Error) throw status;
    return { status };
  };
  return { client: { send } as unknown as SFNClient, asked };
}

const owner = (id: string) => ({ id, description: "" });

describe("an execution that owns a lease", () => {
  it.each(["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"])(
    "An execution that owns a lease has ended when it is %s",
    async (status) => {
      const { client, asked } = clientOf(status);
      expect(await hasEnded(client, owner(STANDARD))).toBe(true);
      expect(asked).toEqual([{ executionArn: STANDARD }]);
    },
  );

  it.each(["RUNNING", "PENDING_REDRIVE"])(
    "An execution that owns a lease has not ended while it is %s",
    async (status) => {
      expect(await hasEnded(clientOf(status).client, owner(STANDARD))).toBe(false);
    },
  );

  it("An execution that owns a lease has not provably ended if Step Functions does not answer", async () => {
    expect(await hasEnded(clientOf(new Error("throttled")).client, owner(STANDARD))).toBe(false);
  });

  it.each([EXPRESS, "4711-desk"])(
    "An owner of a lease that cannot be described is not asked for: %s",
    async (id) => {
      const { client, asked } = clientOf("SUCCEEDED");
      expect(await hasEnded(client, owner(id))).toBe(false);
      expect(asked).toEqual([]);
    },
  );
});
