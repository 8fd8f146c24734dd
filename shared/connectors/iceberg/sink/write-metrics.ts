import {
  type CustomMetric,
  CustomSumMetric,
  type CustomTaskMetric,
} from "../../../contract/write/metrics.ts";
import type { DataFile } from "../format/types.ts";

class FilesWritten extends CustomSumMetric {
  override readonly name = "dataFiles";
  override readonly description = "data files";
}

class BytesWritten extends CustomSumMetric {
  override readonly name = "parquetBytes";
  override readonly description = "Parquet bytes";
}

/** The columns of the rows that the table lacks, and that the pipeline has said to leave out. */
class ColumnsLeftOut implements CustomMetric {
  readonly name = "columnsLeftOut";
  readonly description = "columns left out";

  /** Each task reports the same number. */
  aggregateTaskMetrics(values: readonly number[]): string {
    return String(Math.max(0, ...values));
  }
}

/** What a write reports about its tasks. */
export const WRITE_METRICS: readonly CustomMetric[] = [
  new FilesWritten(),
  new BytesWritten(),
  new ColumnsLeftOut(),
];

/** Returns the metrics of a task that has written these files. */
export function metricsOfTask(
  files: readonly DataFile[],
  ignored: readonly string[],
): readonly CustomTaskMetric[] {
  const bytes = files.reduce((sum, { fileSizeInBytes }) => sum + fileSizeInBytes, 0);
  return [
    { name: "dataFiles", value: files.length },
    { name: "parquetBytes", value: bytes },
    ...(ignored.length === 0 ? [] : [{ name: "columnsLeftOut", value: ignored.length }]),
  ];
}
