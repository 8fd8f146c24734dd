import type { Schema } from "apache-arrow";
import { DataSource } from "../../../shared/contract/data-source.ts";
import type { Offset } from "../../../shared/contract/offset.ts";
import {
  type DataSourceStreamReader,
  type Row,
  SimpleDataSourceStreamReader,
  type SimpleRead,
} from "../../../shared/contract/stream-reader.ts";
import { ddlOf, log, type Options } from "./log.ts";
import { Src } from "./src.ts";
import { numberOf } from "./stream-reader.ts";

class SimpleR extends SimpleDataSourceStreamReader<Offset> {
  readonly #options: Options;
  readonly #max: number;

  constructor(options: Options) {
    super();
    this.#options = options;
    this.#max = Number(options["max"] ?? 12);
  }

  override initialOffset(): Offset {
    log(this.#options, "simple.initialOffset", { returns: { n: 0 } });
    return { n: 0 };
  }

  override read(start: Offset): SimpleRead {
    const end = { n: Math.min(numberOf(start) + 4, this.#max) };
    if (this.#options["noadvance"] !== undefined && numberOf(start) === 4) {
      log(this.#options, "simple.read", { start, returns: "rows but end == start" });
      return { rows: [[99n, 0]], offset: start };
    }
    const rows = this.#options["gen"] === undefined ? { rows: end.n - numberOf(start) } : { generator: true };
    log(this.#options, "simple.read", { start, returns: { ...rows, end } });
    return { rows: numbers(numberOf(start), end.n), offset: end };
  }

  override readBetweenOffsets(start: Offset, end: Offset): Iterable<Row> {
    log(this.#options, "simple.readBetweenOffsets", { start, end });
    return numbers(numberOf(start), numberOf(end));
  }

  override commit(end: Offset): void {
    log(this.#options, "simple.commit", { end });
  }
}

function* numbers(from: number, to: number): Generator<Row> {
  for (let i = from; i < to; i++) yield [BigInt(i), 0];
}

export class Simple extends Src {
  override streamReader(schema: Schema): DataSourceStreamReader<object, unknown> {
    log(this.options, "DataSource.streamReader -> NOT_IMPLEMENTED (as the base class)", {});
    return DataSource.prototype.streamReader.call(this, schema);
  }

  override simpleStreamReader(schema: Schema): SimpleR {
    log(this.options, "DataSource.simpleStreamReader", { schema: ddlOf(schema) });
    return new SimpleR(this.options);
  }
}
