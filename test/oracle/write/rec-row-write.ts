import type { BatchWrite } from "../../../shared/contract/write/batch-write.ts";
import type { CustomMetric, CustomTaskMetric } from "../../../shared/contract/write/metrics.ts";
import { Write } from "../../../shared/contract/write/write.ts";
import { log } from "./log.ts";
import { requiring } from "./rec-requires.ts";
import type { RecSettings } from "./rec-settings.ts";
import { askMetrics, reportMetrics, WRITE_METRICS } from "./rec-write.ts";

type NewBatch = () => BatchWrite<never>;

/** Returns the write of a row-level operation. */
export function newRowWrite(settings: RecSettings, newBatch: () => object): Write {
  const made = newBatch as NewBatch;
  return requiring(settings, new RowWrite(settings, made));
}

class RowWrite extends Write {
  readonly #settings: RecSettings;
  readonly #newBatch: NewBatch;

  constructor(settings: RecSettings, newBatch: NewBatch) {
    super();
    this.#settings = settings;
    this.#newBatch = newBatch;
  }

  override async toBatch(): Promise<BatchWrite<unknown>> {
    log("Write.toBatch");
    await this.#settings.faults.strikeLater("Write.toBatch");
    return this.#newBatch() as BatchWrite<unknown>;
  }

  override supportedCustomMetrics(): readonly CustomMetric[] {
    return askMetrics(this.#settings, "Write.supportedCustomMetrics", WRITE_METRICS);
  }

  override async reportDriverMetrics(): Promise<readonly CustomTaskMetric[]> {
    return await reportMetrics(this.#settings, "Write.reportDriverMetrics");
  }
}
