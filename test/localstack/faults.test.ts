import { DynamoDBClient } from "@aws-sdk/client-dynamodb";
import { S3Client } from "@aws-sdk/client-s3";
import { beforeAll, describe, expect, it } from "vitest";
import { runtime } from "../../local/home.ts";
import { DynamoDbLedger } from "../../shared/platform/aws/dynamodb-ledger.ts";
import { S3Store } from "../../shared/platform/aws/s3-store.ts";
import { finish, tidy } from "../faults/acts.ts";
import { SHAPE } from "../faults/cases.ts";
import { judge, type Readable, RealWorld, type Sight } from "../faults/real.ts";
import { Run } from "../faults/run.ts";
import { dynamodb, newLedger, newStore, s3 } from "./clients.ts";

/**
 * Tests that inject one fault at each request of a run to DynamoDB and S3. Then a run with new
 * clients takes the pipeline over, a vacuum runs days later, and the judge checks the table and the
 * bucket.
 */

/**
 * The faults that can happen at a request. `stop`: the run ends at the request. `fail` and `lost
 * answer`: the connection breaks, and the adapter tries again. `for good`: an error after which the
 * adapter does not try again. `twice`: the request is sent twice. The retries of the SDK are off,
 * because they would hide the fault from the adapter.
 */
const KINDS = [
  "stop before",
  "stop after",
  "fail",
  "fail for good",
  "lost answer",
  "lost for good",
  "twice",
] as const;
type Kind = (typeof KINDS)[number];

interface Fault {
  readonly at: number;
  readonly kind: Kind;
}
interface Clients {
  readonly dynamodb: DynamoDBClient;
  readonly s3: S3Client;
}

const DAYS = 86_400_000;
const AT_ONCE = 4;

let tableName: string;
let bucket: string;
/** Names of the requests of a run without a fault. */
let requests: readonly string[];
let pipelines = 0;

beforeAll(async () => {
  ({ tableName } = await newLedger());
  bucket = (await newStore()).location.split("/")[2] ?? "";
  const { sent, problems } = await survive(undefined);
  expect(problems).toEqual([]);
  requests = sent;
  console.log(`${requests.length} requests of a run`);
});

/** Returns the error of a broken connection. */
function broken(): Error {
  return Object.assign(new Error("socket hang up"), { code: "ECONNRESET" });
}

function refused(): Error {
  return Object.assign(new Error("not now, not later"), {
    name: "InjectedException",
    $metadata: { httpStatusCode: 400 },
  });
}

/**
 * Counts the requests of both clients and injects the fault at one of them. Returns the names of
 * the requests.
 */
function injectInto(clients: Clients, fault: Fault | undefined, run: () => Run): readonly string[] {
  const sent: string[] = [];
  for (const client of [clients.dynamodb, clients.s3]) {
    // Both middleware stacks have the same methods and differ only in their types. The function
    // below is called once for each request that would be sent.
    (client.middlewareStack as DynamoDBClient["middlewareStack"]).add(
      (next, context) => async (args) => {
        const index = sent.push(String(context["commandName"])) - 1;
        if (index !== fault?.at) return await next(args);
        switch (fault.kind) {
          case "stop before":
            return await run().stop();
          case "stop after":
            await next(args).catch(() => undefined);
            return await run().stop();
          case "fail":
            throw broken();
          case "fail for good":
            throw refused();
          case "lost answer":
            await next(args).catch(() => undefined);
            throw broken();
          case "lost for good":
            await next(args).catch(() => undefined);
            throw refused();
          case "twice": {
            const first = await next(args);
            await next(args).catch(() => undefined);
            return first;
          }
        }
      },
      { step: "finalizeRequest", priority: "low", name: "faults" },
    );
  }
  return sent;
}

/** Returns a store that caches objects. A listed object never changes. */
function remembering(store: Readable): Readable {
  const known = new Map<string, Promise<Uint8Array | undefined>>();
  return {
    list: (prefix) => store.list(prefix),
    listUnfinished: (prefix) => store.listUnfinished(prefix),
    get: (key) => {
      const bytes = known.get(key) ?? store.get(key);
      known.set(key, bytes);
      return bytes;
    },
  };
}

/** Runs one case on a new pipeline. Returns the names of the requests, and the violations. */
async function survive(
  fault: Fault | undefined,
): Promise<{ readonly sent: readonly string[]; readonly problems: readonly string[] }> {
  const pipeline = `numbers-${pipelines++}`;
  const sights: Sight[] = [];
  let now = Date.now();
  const options = { runtime: { ...runtime, now: () => now, random: () => 0.5 } };
  const judged = remembering(new S3Store({ ...options, client: s3, bucket, prefix: pipeline }));
  const seen = {
    pipeline,
    shape: SHAPE,
    judged,
    ledger: new DynamoDbLedger({ ...options, client: dynamodb, tableName }),
  };

  async function on<T>(body: (world: RealWorld, clients: Clients) => Promise<T>): Promise<T> {
    const clients: Clients = {
      dynamodb: new DynamoDBClient({ maxAttempts: 1 }),
      s3: new S3Client({ forcePathStyle: true, maxAttempts: 1 }),
    };
    const waits = { ...options.runtime, sleep: async () => undefined };
    const world = new RealWorld({
      ...seen,
      runtime: waits,
      ledger: new DynamoDbLedger({ ...options, runtime: waits, client: clients.dynamodb, tableName }),
      store: new S3Store({ ...options, runtime: waits, client: clients.s3, bucket, prefix: pipeline }),
      note: (sight) => sights.push(sight),
    });
    try {
      return await body(world, clients);
    } finally {
      clients.dynamodb.destroy();
      clients.s3.destroy();
    }
  }

  const sent = await on(async (world, clients) => {
    const run = new Run(world);
    const sent = injectInto(clients, fault, () => run);
    await run.start();
    return sent;
  });
  // The clock stands still, so the lease of the stopped run has not expired.
  await on((world) => finish(world, { takesOver: true }));
  now += 3 * DAYS;
  await on((world) => tidy(world));
  const problems = await judge(seen, sights).catch((error: unknown) => [`it cannot be judged: ${error}`]);
  if (fault !== undefined && sent.length <= fault.at)
    return { sent, problems: ["it was never sent", ...problems] };
  return { sent, problems };
}

describe("a run on DynamoDB and S3", () => {
  it.each(KINDS)(
    "A run on DynamoDB and S3 loses, doubles and leaves nothing, whichever request meets: %s",
    async (kind) => {
      const wrong: string[] = [];
      const queue = requests.keys();
      const worker = async () => {
        for (const at of queue)
          for (const problem of (await survive({ at, kind })).problems)
            wrong.push(`${kind}, request ${at}, ${requests[at]}: ${problem}`);
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      expect(wrong).toEqual([]);
    },
  );
});
