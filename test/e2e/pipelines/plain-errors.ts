import { DataSource, DataSourceStreamReader, pipeline, type Row } from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";

/** Rows of an API, read as most people do: by `fetch`, with errors that tell a program nothing. */
const API = process.env["API"] ?? "";

type Position = { readonly n: number };
type Range = { readonly from: number; readonly to: number };

async function ask<T>(path: string): Promise<T> {
  const response = await fetch(`${API}/${path}`);
  if (!response.ok) throw new Error(`the API answered ${response.status}`);
  return (await response.json()) as T;
}

class Reader extends DataSourceStreamReader<Position, Range> {
  override initialOffset(): Position {
    return { n: 0 };
  }
  override async latestOffset(): Promise<Position> {
    return { n: (await ask<{ count: number }>("count")).count };
  }
  override partitions({ n: from }: Position, { n: to }: Position): Range[] {
    return [{ from, to }];
  }
  override async *read({ from, to }: Range): AsyncGenerator<Row> {
    for (const row of await ask<Row[]>(`rows?from=${from}&to=${to}`)) yield row;
  }
}

class Api extends DataSource {
  override schema(): string {
    return "id bigint NOT NULL";
  }
  override streamReader(): Reader {
    return new Reader();
  }
}

export default pipeline("plain").readStream.format(Api).writeStream.format(ArrowTable).pauseAfterAborts(2);
