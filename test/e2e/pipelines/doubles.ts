import { DataSource, DataSourceReader, pipeline, type Row } from "millrace";
import { ArrowTable } from "millrace/connectors/arrow-table";

/** Reads numbers that JSON cannot contain, such as NaN. */
class DoublesReader extends DataSourceReader {
  override partitions(): null[] {
    return [null];
  }

  override *read(): Generator<Row> {
    yield { number: Number.NaN, numbers: [1.5, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, null] };
    yield { number: 2, numbers: null };
  }
}

class Doubles extends DataSource {
  override schema(): string {
    return "number double, numbers array<double>";
  }

  override reader(): DoublesReader {
    return new DoublesReader();
  }
}

export default pipeline("doubles").read.format(Doubles).write.format(ArrowTable);
