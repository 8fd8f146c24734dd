import {
  type Distribution,
  Distributions,
  desc,
  type RequiresDistributionAndOrdering,
  type SortOrder,
  sortOrder,
} from "../../../shared/contract/write/distribution.ts";
import { log } from "./log.ts";
import type { RecSettings } from "./rec-settings.ts";
import { RecWrite, type RecWriteParts } from "./rec-write.ts";

/** The write of a table with `distribute`, which requires what its settings say. */
export class RecRequiringWrite extends RecWrite implements RequiresDistributionAndOrdering {
  readonly #settings: RecSettings;

  constructor(parts: RecWriteParts) {
    super(parts);
    this.#settings = parts.settings;
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

function orderOf(text: string): SortOrder {
  const [column = "", direction = "asc"] = text.split(" ");
  return direction === "desc" ? desc(column) : sortOrder(column);
}
