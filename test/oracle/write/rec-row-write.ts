import type { BatchWrite } from "../../../shared/contract/write/batch-write.ts";
import {
  type Distribution,
  Distributions,
  desc,
  type RequiresDistributionAndOrdering,
  type SortOrder,
  sortOrder,
} from "../../../shared/contract/write/distribution.ts";
import type { CustomMetric, CustomTaskMetric } from "../../../shared/contract/write/metrics.ts";
import { Write } from "../../../shared/contract/write/write.ts";
import { log } from "./log.ts";
import type { RecSettings } from "./rec-settings.ts";
import { askMetrics, reportMetrics, WRITE_METRICS } from "./rec-write.ts";

type NewBatch = () => BatchWrite<never>;

/** Returns the write of a row-level operation. */
export function newRowWrite(settings: RecSettings, newBatch: () => object): Write {
  const made = newBatch as NewBatch;
  return settings.distributes ? new ArrangedRowWrite(settings, made) : new RowWrite(settings, made);
}

class RowWrite extends Write {
  protected readonly settings: RecSettings;
  readonly #newBatch: NewBatch;

  constructor(settings: RecSettings, newBatch: NewBatch) {
    super();
    this.settings = settings;
    this.#newBatch = newBatch;
  }

  override async toBatch(): Promise<BatchWrite<unknown>> {
    log("Write.toBatch");
    await this.settings.faults.strikeLater("Write.toBatch");
    return this.#newBatch() as BatchWrite<unknown>;
  }

  override supportedCustomMetrics(): readonly CustomMetric[] {
    return askMetrics(this.settings, "Write.supportedCustomMetrics", WRITE_METRICS);
  }

  override async reportDriverMetrics(): Promise<readonly CustomTaskMetric[]> {
    return await reportMetrics(this.settings, "Write.reportDriverMetrics");
  }
}

class ArrangedRowWrite extends RowWrite implements RequiresDistributionAndOrdering {
  requiredDistribution(): Distribution {
    const text = this.settings.distribution;
    log("Write.requiredDistribution", { returns: text });
    const [kind, columns = ""] = text.split(":");
    if (kind === "clustered") return Distributions.clustered(...columns.split(","));
    if (kind === "ordered") return Distributions.ordered(...columns.split(",").map(orderOf));
    return Distributions.unspecified();
  }

  distributionStrictlyRequired(): boolean {
    log("Write.distributionStrictlyRequired", { returns: this.settings.isStrict });
    return this.settings.isStrict;
  }

  requiredNumPartitions(): number {
    log("Write.requiredNumPartitions", { returns: this.settings.numPartitions });
    return this.settings.numPartitions;
  }

  advisoryPartitionSizeInBytes(): number {
    log("Write.advisoryPartitionSizeInBytes", { returns: this.settings.advisorySize });
    return this.settings.advisorySize;
  }

  requiredOrdering(): readonly SortOrder[] {
    const names = this.settings.ordering;
    log("Write.requiredOrdering", { returns: names });
    return names.map(orderOf);
  }
}

/** `id`, or `id desc`. */
function orderOf(text: string): SortOrder {
  const [name = "", direction] = text.split(" ");
  return direction === "desc" ? desc(name) : sortOrder(name);
}
