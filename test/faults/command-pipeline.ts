import { DataSourceReader } from "../../shared/contract/batch-reader.ts";
import type { TaskContext } from "../../shared/contract/context.ts";
import { DataSource, type DataSourceClass } from "../../shared/contract/data-source.ts";
import type { Pipeline } from "../../shared/contract/pipeline.ts";
import type { Row } from "../../shared/contract/stream-reader.ts";
import { type CommandRun, CommandTable, readRows } from "./command-table.ts";
import { commandOf, SOURCE_ROWS } from "./commands.ts";
import type { CommandSetup } from "./setup.ts";
import type { Surroundings } from "./surroundings.ts";

/** Returns the pipeline that carries out a command on the world's table. */
export function commandPipeline(run: CommandRun, world: Surroundings, setup: CommandSetup): Pipeline {
  class Target extends DataSource {
    override table(): CommandTable {
      return new CommandTable(run, world, setup);
    }
  }
  const rows = mergeSource(run, world);
  return commandOf(world.pipeline, setup.name, Target as unknown as DataSourceClass<never>, rows);
}

function mergeSource(run: CommandRun, world: Surroundings): DataSourceClass<never> {
  type Slice = { readonly index: number };
  class SourceReader extends DataSourceReader<Slice> {
    override partitions(): Promise<readonly Slice[]> {
      return run.point("source.partitions", async () => SOURCE_ROWS.map((_, index) => ({ index })));
    }
    override async *read({ index }: Slice, task: TaskContext): AsyncGenerator<Row> {
      yield* await readRows(run, world, task, SOURCE_ROWS[index] ?? []);
    }
  }
  class MergeSource extends DataSource {
    override schema(): string {
      return "id int not null, v int";
    }
    override reader(): SourceReader {
      return new SourceReader();
    }
  }
  return MergeSource as unknown as DataSourceClass<never>;
}
