import { describe, expect, it } from "vitest";
import { DataSourceReader } from "../../../shared/contract/batch-reader.ts";
import { DataSource } from "../../../shared/contract/data-source.ts";
import { type Pipeline, pipeline } from "../../../shared/contract/pipeline.ts";
import {
  DataSourceStreamReader,
  SimpleDataSourceStreamReader,
} from "../../../shared/contract/stream-reader.ts";
import { DataSourceStreamWriter } from "../../../shared/contract/stream-writer.ts";
import { TimeRange } from "../../../shared/contract/time-range.ts";
import { EngineWorld } from "../../support/engine.ts";

class Reader extends DataSourceStreamReader {
  override initialOffset() {
    return { n: 0 };
  }
  override latestOffset() {
    return { n: 0 };
  }
  override partitions(): never[] {
    return [];
  }
  override read(): never[] {
    return [];
  }
}
class Writer extends DataSourceStreamWriter {
  override write(): null {
    return null;
  }
  override commit(): void {}
  override abort(): void {}
}
/**
 * Returns a plain object with the same methods, like an instance from another copy of the package.
 * `changes` replaces some of the methods.
 */
const copied = (made: object, changes: object = {}): object => {
  const methods = [
    made,
    Reflect.getPrototypeOf(made) ?? {},
    Reflect.getPrototypeOf(Reflect.getPrototypeOf(made) ?? {}) ?? {},
  ];
  const own = methods.reverse().map((from) => Object.getOwnPropertyDescriptors(from));
  const copy: object = Object.defineProperties({}, Object.assign({}, ...own) as PropertyDescriptorMap);
  return Object.assign(copy, changes);
};

type Made = Partial<
  Record<"streamReader" | "simpleStreamReader" | "reader" | "streamWriter" | "writer", unknown>
>;

/** Opens a stream or a batch whose data source returns these objects. */
async function opened(made: Made, kind: "stream" | "batch" = "stream") {
  class Source extends DataSource {
    override schema() {
      return "n bigint";
    }
  }
  for (const [method, value] of Object.entries(made))
    Object.defineProperty(Source.prototype, method, { value: () => value });
  const start = pipeline("numbers");
  const definition =
    kind === "stream"
      ? start.readStream.format(Source).writeStream.format(Source)
      : start.read.format(Source).write.format(Source).mode("append");
  return await new EngineWorld().run(definition as unknown as Pipeline, "a");
}

describe("the reader of a data source", () => {
  // @ts-expect-error Types are stripped when a pipeline runs.
  class Typo extends DataSourceStreamReader {
    override initialOffset() {
      return { n: 0 };
    }
    latestOfset() {
      return { n: 0 };
    }
    override partitions(): never[] {
      return [];
    }
    override read(): never[] {
      return [];
    }
  }
  // @ts-expect-error Types are stripped when a pipeline runs.
  class Simple extends SimpleDataSourceStreamReader {
    override initialOffset() {
      return {};
    }
    override read() {
      return { rows: [], offset: {} };
    }
    readBetween(): never[] {
      return [];
    }
  }
  class Batch extends DataSourceReader {
    override read(): never[] {
      return [];
    }
  }
  const bare = copied(new Reader(), { commit: undefined });

  it.each<readonly [string, Made, string]>([
    [
      "a method of another name",
      { streamReader: new Typo() },
      "streamReader() gave an instance of Typo, which has no latestOffset() (did you mean latestOfset?)",
    ],
    ["the class", { streamReader: Reader }, "streamReader() gave the class Reader, not an instance"],
    ["nothing", { streamReader: undefined }, "streamReader() gave undefined"],
    [
      "an object of its own",
      { streamReader: bare },
      "streamReader() gave an object that does not extend DataSourceStreamReader: it has no commit()",
    ],
    [
      "a simple reader with a method of another name",
      { simpleStreamReader: new Simple() },
      "simpleStreamReader() gave an instance of Simple, which has no readBetweenOffsets() (there are readBetween)",
    ],
  ])("A reader of a data source is refused if it is %s", async (_, made, message) => {
    const run = await opened(made);
    await expect(run.plan()).rejects.toMatchObject({
      code: "READER_INVALID",
      message,
      where: { pipeline: "numbers" },
    });
  });

  it("A reader of a batch is refused if it lacks a method, too", async () => {
    const run = await opened({ reader: { reed: () => [] }, writer: new Writer() }, "batch");
    await expect(run.plan()).rejects.toMatchObject({
      code: "READER_INVALID",
      message: "reader() gave an object, which has no read() (did you mean reed?)",
    });
    const good = await opened({ reader: new Batch(), writer: new Writer() }, "batch");
    expect((await good.plan()).kind).toBe("batch");
  });

  it("A reader may be of another copy of the package, or come as a promise", async () => {
    for (const streamReader of [new Reader(), copied(new Reader()), Promise.resolve(new Reader())])
      expect((await (await opened({ streamReader })).plan()).kind).toBe("idle");
  });
});

describe("the writer of a data source", () => {
  it.each<readonly [unknown, string]>([
    [Writer, "streamWriter() gave the class Writer, not an instance"],
    [null, "streamWriter() gave null"],
    [
      copied(new Writer(), { abort: undefined, abrt: () => undefined }),
      "streamWriter() gave an object, which has no abort() (did you mean abrt?)",
    ],
  ])("A writer is refused if it cannot be called: %o", async (streamWriter, message) => {
    const { sessions } = await opened({ streamWriter });
    await expect(sessions.sink.newAsked(await sessions.source.schema())).rejects.toMatchObject({
      code: "WRITER_INVALID",
      message,
    });
  });

  it("A writer may be of another copy of the package", async () => {
    const { sessions } = await opened({ streamWriter: copied(new Writer()) });
    expect(await sessions.sink.newAsked(await sessions.source.schema())).toBeDefined();
  });
});

describe("invalid partitions", () => {
  it.each<readonly [string, unknown, object]>([
    [
      "a generator",
      (function* () {
        yield { n: 0 };
      })(),
      {
        code: "PARTITIONS_NOT_AN_ARRAY",
        message: "partitions(start, end) must give an array, but gave a generator",
        hint: expect.stringContaining("return [a, b]") as string,
      },
    ],
    [
      "promises",
      [Promise.resolve({ n: 0 })],
      { code: "PARTITION_NOT_JSON", hint: expect.stringContaining("await Promise.all(") as string },
    ],
    [
      "ranges of time",
      [new TimeRange(0n, 5n)],
      { code: "PARTITION_NOT_JSON", hint: expect.stringContaining("range.toJSON()") as string },
    ],
  ])("The value of partitions() is refused with a remedy if it is %s", async (_, partitions, error) => {
    const streamReader = Object.assign(new Reader(), {
      latestOffset: () => ({ n: 1 }),
      partitions: () => partitions,
    });
    await expect((await opened({ streamReader })).plan()).rejects.toMatchObject(error);
  });
});
