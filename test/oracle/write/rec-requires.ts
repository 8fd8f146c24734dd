import type { BatchWrite, StreamingWrite } from "../../../shared/contract/write/batch-write.ts";
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

/** Returns the write, with what it requires if the table has the setting `distribute`. */
export function requiring(settings: RecSettings, write: Write): Write {
  return settings.distributes ? new RequiringWrite(settings, write) : write;
}

class RequiringWrite extends Write implements RequiresDistributionAndOrdering {
  readonly #settings: RecSettings;
  readonly #write: Write;

  constructor(settings: RecSettings, write: Write) {
    super();
    this.#settings = settings;
    this.#write = write;
  }

  override async toBatch(): Promise<BatchWrite<unknown>> {
    return await this.#write.toBatch();
  }

  override async toStreaming(): Promise<StreamingWrite<unknown>> {
    return await this.#write.toStreaming();
  }

  override supportedCustomMetrics(): readonly CustomMetric[] {
    return this.#write.supportedCustomMetrics();
  }

  override async reportDriverMetrics(): Promise<readonly CustomTaskMetric[]> {
    return await this.#write.reportDriverMetrics();
  }

  requiredNumPartitions(): number {
    return this.#answer("requiredNumPartitions", this.#settings.numPartitions);
  }

  advisoryPartitionSizeInBytes(): number {
    return this.#answer("advisoryPartitionSizeInBytes", this.#settings.advisorySize);
  }

  requiredDistribution(): Distribution {
    return distributionOf(this.#answer("requiredDistribution", this.#settings.distribution));
  }

  distributionStrictlyRequired(): boolean {
    return this.#answer("distributionStrictlyRequired", this.#settings.isStrict);
  }

  requiredOrdering(): readonly SortOrder[] {
    const { ordering } = this.#settings;
    log("Write.requiredOrdering", { returns: [...ordering] });
    this.#settings.faults.strike("Write.requiredOrdering");
    return ordering.map(orderOf);
  }

  #answer<T extends string | number | boolean>(method: string, returns: T): T {
    log(`Write.${method}`, { returns });
    this.#settings.faults.strike(`Write.${method}`);
    return returns;
  }
}

/** Parses `clustered:p,id`, `ordered:id` or `unspecified`. */
function distributionOf(text: string): Distribution {
  const [kind, columns = ""] = text.split(":");
  if (kind === "clustered") return Distributions.clustered(...columns.split(","));
  if (kind === "ordered") return Distributions.ordered(...columns.split(",").map(orderOf));
  if (kind === "unspecified") return Distributions.unspecified();
  throw new Error(`the recorded table has no distribution "${text}"`);
}

/** Parses `id`, or `id desc`. */
function orderOf(text: string): SortOrder {
  const [column = "", direction] = text.split(" ");
  return direction === "desc" ? desc(column) : sortOrder(column);
}
