import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { DataSource } from "../../shared/contract/data-source.ts";
import type { JsonValue } from "../../shared/contract/json.ts";
import { DataSourceStreamWriter } from "../../shared/contract/stream-writer.ts";

setFlagsFromString("--expose-gc");
export const collectGarbage = runInNewContext("gc") as () => void;

/** A sink that reads all rows and keeps none. */
export class Drain extends DataSource {
  override streamWriter = () => new DrainWriter();
}

class DrainWriter extends DataSourceStreamWriter {
  override async write(rows: AsyncIterable<unknown>): Promise<JsonValue> {
    for await (const _ of rows);
    return null;
  }
  override commit(): void {}
  override abort(): void {}
}
