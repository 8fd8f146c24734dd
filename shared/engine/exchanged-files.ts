import { messagesOf } from "./messages.ts";
import type { Batch } from "./ports/ledger.ts";
import type { Ports } from "./ports/runtime.ts";
import type { ShuffleOutput } from "./shuffle/spec.ts";

/** Deletes the files of rows that the tasks of an attempt have exchanged. It has ended. */
export async function deleteExchanged(ports: Ports, batch: Batch): Promise<void> {
  const count = batch.exchanges?.count ?? 0;
  for (let stage = 0; stage < count; stage++) {
    const tasks = await ports.ledger.tasks({ ...batch, stage });
    const most = tasks.reduce((highest, { partition }) => Math.max(highest, partition + 1), 0);
    const { messages } = await messagesOf(ports, { ...batch, tasks: most }, tasks);
    const outputs = messages as unknown as readonly (ShuffleOutput | null)[];
    await ports.store.delete(outputs.flatMap((output) => (output?.key ? [output.key] : [])));
  }
}
