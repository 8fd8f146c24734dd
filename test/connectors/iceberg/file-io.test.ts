import { describe, expect, it } from "vitest";
import { FileIo } from "../../../shared/connectors/iceberg/file-io.ts";
import type { ObjectStore } from "../../../shared/contract/object-store.ts";
import { MemoryStore } from "../../../shared/platform/memory/memory-store.ts";
import { failure } from "../../support/api-server.ts";

/** A store that sends each put twice, as one does whose first answer was lost. */
function forgetful(): ObjectStore {
  const store = new MemoryStore({ objects: new Map(), uploads: new Map(), now: () => 0 });
  const put = store.put.bind(store);
  return Object.assign(store, {
    put: async (key: string, body: Uint8Array) => {
      await put(key, body);
      return await put(key, body);
    },
  });
}

describe("the files of a table", () => {
  it("A file whose write was repeated by the store is written, and another one of its name is an error", async () => {
    const store = forgetful();
    const io = new FileIo(() => store, "s3://lake/orders");
    await io.write("s3://lake/orders/metadata/a.avro", new Uint8Array([1, 2]));
    for (const other of [[1, 3], [1], [1, 2, 3]]) {
      const error = await failure(() => io.write("s3://lake/orders/metadata/a.avro", new Uint8Array(other)));
      expect(error.code).toBe("TABLE_FILE_EXISTS");
    }
  });

  it("A table in a table bucket is known by its location, also if Glue is its catalog", () => {
    const isManaged = (location: string) => new FileIo(() => forgetful(), location).isManaged;
    const name = "63a8e430-6e0b-46f5-k833abtwr6s8tmtsycedn8s4yc3xhuse1b--table-s3";
    expect(isManaged(`s3://${name}`)).toBe(true);
    expect(isManaged(`s3a://${name}/`)).toBe(true);
    expect(isManaged(`s3://lake/${name}`)).toBe(false);
    expect(isManaged(`/home/me/${name}`)).toBe(false);
  });
});
