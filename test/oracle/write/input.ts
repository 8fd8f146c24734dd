import { DataSourceReader } from "../../../shared/contract/batch-reader.ts";
import { DataSource, type DataSourceClass } from "../../../shared/contract/data-source.ts";
import { DataSourceStreamReader, type Row } from "../../../shared/contract/stream-reader.ts";
import type { OpRow } from "./op.ts";

/** The rows of each partition. */
type Partitions = readonly (readonly OpRow[])[];
type Epoch = { readonly epoch: number };
type Slice = { readonly epoch: number; readonly partition: number };

/** Returns a source that a batch reads once, with these partitions. */
export function batchInput(schema: string, partitions: Partitions): DataSourceClass<object> {
  class Reader extends DataSourceReader<number> {
    override partitions(): readonly number[] {
      return [...partitions.keys()];
    }
    override *read(partition: number): Generator<Row> {
      yield* partitions[partition] ?? [];
    }
  }
  return class Input extends DataSource<object> {
    override schema(): string {
      return schema;
    }
    override reader(): Reader {
      return new Reader();
    }
  };
}

/** Returns a source of which each batch of a stream reads one epoch. */
export function streamInput(schema: string, epochs: readonly Partitions[]): DataSourceClass<object> {
  class Reader extends DataSourceStreamReader<Epoch, Slice> {
    override initialOffset(): Epoch {
      return { epoch: 0 };
    }
    override latestOffset({ epoch }: Epoch): Epoch {
      return { epoch: Math.max(epoch, Math.min(epoch + 1, epochs.length)) };
    }
    /** As the recorded source has it: without this, such a run is one batch. */
    prepareForTriggerAvailableNow(): void {}
    override partitions({ epoch }: Epoch): readonly Slice[] {
      return [...(epochs[epoch] ?? []).keys()].map((partition) => ({ epoch, partition }));
    }
    override *read({ epoch, partition }: Slice): Generator<Row> {
      yield* epochs[epoch]?.[partition] ?? [];
    }
  }
  return class Input extends DataSource<object> {
    override schema(): string {
      return schema;
    }
    override streamReader(): Reader {
      return new Reader();
    }
  };
}
