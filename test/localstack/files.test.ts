import { randomUUID } from "node:crypto";
import { join } from "node:path";
import {
  CompleteMultipartUploadCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { beforeAll, describe, expect, it } from "vitest";
import { openStore } from "../../local/home.ts";
import { rowsOf } from "../../shared/arrow/rows.ts";
import { parseS3Url } from "../../shared/aws/s3-url.ts";
import { ArrowTable } from "../../shared/connectors/arrow-table/index.ts";
import { readTable } from "../../shared/connectors/arrow-table/read.ts";
import { Files } from "../../shared/connectors/files/index.ts";
import type { ObjectStore } from "../../shared/contract/object-store.ts";
import { type Pipeline, pipeline } from "../../shared/contract/pipeline.ts";
import { finalize } from "../../shared/engine/finalize.ts";
import { plan } from "../../shared/engine/plan.ts";
import { openSessions } from "../../shared/engine/sessions/open-sessions.ts";
import { write } from "../../shared/engine/write/task.ts";
import { S3Store } from "../../shared/platform/aws/s3-store.ts";
import { DirectoryStore } from "../../shared/platform/embedded/directory-store.ts";
import { EngineWorld } from "../support/engine.ts";
import { s3 } from "./clients.ts";

const OBJECTS = 5000;
const AT_ONCE = 32;
const BUCKET = `files-${randomUUID()}`;

/** Number of requests to S3, by kind of request. */
const asked = new Map<string, number>();
s3.middlewareStack.add(
  (next, { commandName = "" }) =>
    (args) => {
      asked.set(commandName, (asked.get(commandName) ?? 0) + 1);
      return next(args);
    },
  { step: "initialize" },
);
const count = (command: string) => asked.get(command) ?? 0;

async function put(key: string, body: string): Promise<void> {
  await s3.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: body }));
}

const nameOf = (id: number) => `many/${id % 10}/${randomUUID()}-${id}.jsonl`;
const lineOf = (id: number) => `{"id":${id}}\n`;

/** A pipeline from files in S3 to a table on disk. Each run takes all available files. */
class Desk {
  readonly world: EngineWorld = new EngineWorld();
  readonly table: string = join(this.world.folder, "table");
  readonly path: string;

  constructor(prefix: string) {
    this.path = `s3://${BUCKET}/${prefix}`;
  }

  definition(): Pipeline {
    return pipeline("orders")
      .readStream.format(Files)
      .options({
        path: this.path,
        format: "jsonl",
        pattern: "**/*.jsonl",
        settleSeconds: 0,
      })
      .schema("id bigint NOT NULL")
      .writeStream.format(ArrowTable)
      .options({ path: this.table }) as unknown as Pipeline;
  }

  /** Runs the pipeline and returns the rows of each batch. */
  async run(tamper: () => Promise<void> = async () => undefined): Promise<number[]> {
    // LocalStack uses the clock of the machine, so the clock of the test moves beyond it.
    this.world.now = Date.now() + 60_000;
    const ports = this.world.ports({ openStore: storeAt });
    const sessions = await openSessions(this.definition(), ports);
    await (await sessions.source.planner()).prepareForTriggerAvailableNow();
    const batches: number[] = [];
    for (;;) {
      const owner = { id: randomUUID(), description: "a test" };
      const planned = await plan(sessions, ports, {
        owner,
        leaseMilliseconds: 60_000,
        hasEnded: async () => true,
      });
      if (planned.kind !== "batch") return batches;
      await tamper();
      const { run } = planned;
      const { signal } = new AbortController();
      for (const partition of planned.todo)
        await write(sessions, ports, { run, partition, attemptNumber: 0 }, { signal });
      const { batch } = await finalize(sessions, ports, { run });
      expect(batch.state).toBe("committed");
      batches.push(batch.progress?.rows ?? 0);
    }
  }

  async ids(): Promise<number[]> {
    const ids: number[] = [];
    for await (const batch of readTable(new DirectoryStore(this.table)))
      for (const row of rowsOf(batch)) ids.push(Number(row["id"]));
    return ids.sort((a, b) => a - b);
  }
}

function storeAt(location: string): ObjectStore {
  const place = parseS3Url(location);
  if (place === undefined) return new DirectoryStore(location);
  return new S3Store({ client: s3, ...place, runtime: new EngineWorld().ports().runtime });
}

const upTo = (end: number) => Array.from({ length: end }, (_, id) => id);

beforeAll(async () => {
  await s3.send(new CreateBucketCommand({ Bucket: BUCKET }));
  const ids = upTo(OBJECTS);
  const next = async () => {
    for (let id = ids.pop(); id !== undefined; id = ids.pop()) await put(nameOf(id), lineOf(id));
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
});

describe("5,000 objects in S3", () => {
  it("5,000 objects in S3 are read once each, in batches of 1,000 and one listing, and then new ones", async () => {
    const desk = new Desk("many/");
    asked.clear();
    const startedAt = performance.now();
    expect(await desk.run()).toEqual([1000, 1000, 1000, 1000, 1000]);
    console.log(
      `5,000 objects in ${((performance.now() - startedAt) / 1000).toFixed(1)} s:`,
      Object.fromEntries(asked),
    );
    expect(await desk.ids()).toEqual(upTo(OBJECTS));
    expect(count("ListObjectsV2Command")).toBe(OBJECTS / 1000);
    expect(count("GetObjectCommand")).toBe(OBJECTS);

    // S3 gives an object that is uploaded in parts the time at which the upload began.
    const target = { Bucket: BUCKET, Key: "many/0/0-first-by-name.jsonl" };
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(target));
    await put("many/9/zzz-last-by-name.jsonl", lineOf(OBJECTS));
    expect(await desk.run()).toEqual([1]);
    const part = { ...target, UploadId, PartNumber: 1 };
    const { ETag } = await s3.send(new UploadPartCommand({ ...part, Body: lineOf(OBJECTS + 1) }));
    const MultipartUpload = { Parts: [{ ETag, PartNumber: 1 }] };
    await s3.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload }));
    asked.clear();
    expect(await desk.run()).toEqual([1]);
    expect(count("ListObjectsV2Command")).toBe(6);
    expect(count("GetObjectCommand")).toBe(1);
    expect(await desk.run()).toEqual([]);
    expect(await desk.ids()).toEqual(upTo(OBJECTS + 2));
  });

  it("Objects in S3 can be read by a pipeline that runs embedded", async () => {
    const store = openStore(`s3://${BUCKET}/many/`);
    expect(store.location).toBe(`s3://${BUCKET}/many`);
    const [last] = await Array.fromAsync(store.at("9").list("zzz"));
    expect(last?.key).toBe("zzz-last-by-name.jsonl");
    expect(Buffer.from((await store.get(`9/${last?.key}`)) ?? []).toString()).toBe(lineOf(OBJECTS));
  });
});

describe("an object in S3", () => {
  it("An object in S3 may be put again with the same content, but not with another", async () => {
    const desk = new Desk("few");
    await put("few/a.jsonl", lineOf(1));
    await put("few/b.jsonl", lineOf(2));
    const again = () => put("few/b.jsonl", lineOf(2));
    const otherwise = () => put("few/b.jsonl", lineOf(3));
    expect(await desk.run(again)).toEqual([2]);
    await again();
    expect(await desk.run()).toEqual([]);
    await otherwise();
    const changed = { code: "FILE_CHANGED", where: { path: `s3://${BUCKET}/few/b.jsonl` } };
    await expect(desk.run()).rejects.toMatchObject(changed);

    await again();
    const other = new Desk("few");
    await expect(other.run(otherwise)).rejects.toMatchObject(changed);
    await again();
    expect(await other.run()).toEqual([2]);
    expect(await other.ids()).toEqual([1, 2]);
  });
});
