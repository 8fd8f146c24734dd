import { describe, expect, it } from "vitest";
import { AwsClient, type AwsService } from "../../../shared/connectors/kit/aws-client.ts";
import { MillraceError } from "../../../shared/contract/errors.ts";
import { failure, runtimeAt } from "../../support/api-server.ts";

class Client {
  isOpen = true;
  destroy(): void {
    this.isOpen = false;
  }
}

const named = (name: string) => Object.assign(new Error(`${name} of a test`), { name });
const throttled = () => named("ThrottlingException");

function serviceOf(overrides: Partial<AwsService<Client, undefined>> = {}) {
  const made: Client[] = [];
  const runtime = runtimeAt(0);
  const service: AwsService<Client, undefined> = {
    runtime,
    retries: { attempts: 3, firstDelay: 100, longestDelay: 150 },
    sdk: async () => undefined,
    make: () => {
      made.push(new Client());
      return made.at(-1) as Client;
    },
    toError: (call, thrown, retryable) =>
      new MillraceError("SQS_FAILED", `${call}: ${thrown.name}`, { retryable, cause: thrown }),
    ...overrides,
  };
  return { made, runtime, service };
}

describe("a client of AWS", () => {
  it("A client of AWS is made once, when it is first needed, and closed if it was made", async () => {
    const { made, service } = serviceOf();
    const client = new AwsClient(service);
    client.close();
    expect(made).toEqual([]);
    const used = [await client.call("a", async (own) => own), await client.call("b", async (own) => own)];
    expect(used).toEqual([made[0], made[0]]);
    client.close();
    expect(made.map(({ isOpen }) => isOpen)).toEqual([false]);
  });

  it("A client of AWS may be given by the caller", async () => {
    const { made, service } = serviceOf();
    const given = new Client();
    expect(await new AwsClient(service, given).call("a", async (own) => own)).toBe(given);
    expect(made).toEqual([]);
  });

  it("A client of AWS calls again while the service is busy, and then fails with a retryable error", async () => {
    const { runtime, service } = serviceOf();
    let calls = 0;
    const busy = async () => {
      if (++calls < 3) throw throttled();
      return "done";
    };
    expect(await new AwsClient(service).call("Get", busy)).toBe("done");
    expect(runtime.sleeps).toEqual([100, 150]);
    const error = await failure(() =>
      new AwsClient(service).call("Get", async () => {
        throw throttled();
      }),
    );
    expect(error).toMatchObject({ message: "Get: ThrottlingException", retryable: true });
  });

  it("A client of AWS calls once if the service refuses", async () => {
    const { runtime, service } = serviceOf();
    const error = await failure(() =>
      new AwsClient(service).call("Get", async () => {
        throw named("AccessDeniedException");
      }),
    );
    expect(error).toMatchObject({ message: "Get: AccessDeniedException", retryable: false });
    expect(runtime.sleeps).toEqual([]);
  });

  it("A client of AWS passes on an error of Millrace and calls again if that is retryable", async () => {
    const { runtime, service } = serviceOf();
    const errors = [true, true, false].map(
      (retryable) => new MillraceError("SQS_FAILED", "own", { retryable }),
    );
    let calls = 0;
    const error = await failure(() =>
      new AwsClient(service).call("Get", async () => {
        throw errors[calls++];
      }),
    );
    expect(error).toBe(errors[2]);
    expect(runtime.sleeps).toEqual([100, 150]);
  });

  it("A client of AWS stops its wait once the signal aborts", async () => {
    const sleep = async (_milliseconds: number, signal?: AbortSignal) => signal?.throwIfAborted();
    const { service } = serviceOf({ runtime: { random: () => 1, sleep } });
    let calls = 0;
    const call = new AwsClient(service).call(
      "Get",
      async () => {
        calls++;
        throw throttled();
      },
      AbortSignal.abort(new Error("told to stop")),
    );
    await expect(call).rejects.toThrow("told to stop");
    expect(calls).toBe(1);
  });
});
