import type { Runtime, TaskContext } from "../../contract/context.ts";
import { toSchema } from "../../contract/ddl/to-schema.ts";
import { isPlainObject } from "../../contract/json.ts";
import { JsonFault, parseJson } from "../kit/json-parser.ts";
import type { ParsedOptions } from "./options.ts";
import { RAW_SCHEMA } from "./records.ts";
import { Stream } from "./stream.ts";
import { KinesisReader } from "./stream-reader.ts";

/** Yields the JSON objects of the oldest records, without a schema. Other records are left out. */
export async function* sampleRecords(given: ParsedOptions, runtime: Runtime): AsyncGenerator<object> {
  const options: ParsedOptions = { ...given, format: "raw", startingPosition: "TRIM_HORIZON" };
  const reader = new KinesisReader(toSchema(RAW_SCHEMA), options, new Stream(options, runtime), runtime);
  const task = { signal: new AbortController().signal } as TaskContext;
  try {
    const start = reader.initialOffset();
    for (const range of await reader.partitions(start, await reader.latestOffset(start))) {
      for await (const row of reader.read(range, task)) {
        const object = objectIn((row as { readonly data: Uint8Array }).data);
        if (object !== undefined) yield object;
      }
    }
  } finally {
    reader.stop();
  }
}

function objectIn(data: Uint8Array): object | undefined {
  try {
    const value = parseJson(new TextDecoder().decode(data));
    return isPlainObject(value) ? value : undefined;
  } catch (error) {
    if (error instanceof JsonFault) return undefined;
    throw error;
  }
}
