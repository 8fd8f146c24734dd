import type { TableCapability } from "../../../contract/write/table.ts";
import type { LogicalWriteInfo } from "../../../contract/write/write-info.ts";
import { isWriterTable } from "../../../contract/write/writer-table.ts";
import type { Trap } from "../trap.ts";
import { attemptOf, isTable, type SinkSubject, type TableSubject } from "./subject.ts";

/** What a builder needs for a capability, and which capabilities give the method a use. */
const OVERWRITES = [
  {
    capability: "TRUNCATE",
    methods: ["truncate", "overwrite"],
    uses: ["TRUNCATE", "OVERWRITE_BY_FILTER", "STREAMING_WRITE"],
  },
  { capability: "OVERWRITE_BY_FILTER", methods: ["overwrite"], uses: ["OVERWRITE_BY_FILTER", "TRUNCATE"] },
  // One class of builder may serve tables with and without partitions.
  { capability: "OVERWRITE_DYNAMIC", methods: ["overwriteDynamicPartitions"], uses: undefined },
] as const satisfies readonly {
  capability: TableCapability;
  methods: readonly string[];
  uses: readonly TableCapability[] | undefined;
}[];

const HINT =
  "The engine looks at the capabilities before it makes a builder, and at the builder's methods after that. A pipeline can use what both have.";

/** Detects capabilities without a method of the builder, and methods without a capability. */
export const CAPABILITIES: Trap<SinkSubject, TableSubject> = {
  code: "CAPABILITY_MISMATCH",
  applies: isTable,
  async run(sink) {
    return await sink.findings.check(
      "the capabilities of the table and the methods of its builder",
      async () => {
        const table = await sink.factory.access.table(sink.schema);
        // Its builder has each method, because only the engine makes it.
        if (isWriterTable(table)) return;
        const builder = table.newWriteBuilder(infoOf(sink));
        const has = (method: string) => typeof (builder as never)[method] === "function";
        for (const { capability, methods, uses } of OVERWRITES) {
          const isPromised = table.capabilities.has(capability);
          const [method] = methods;
          if (isPromised && !methods.some(has))
            add(sink, `${table.name} promises ${capability}, but its builder has no ${method}()`);
          if (uses !== undefined && has(method) && !uses.some((use) => table.capabilities.has(use)))
            add(
              sink,
              `the builder of ${table.name} has ${method}(), but the table has no capability ${capability}`,
            );
        }
      },
    );
  },
};

function add({ findings }: SinkSubject, message: string): void {
  findings.add({ code: "CAPABILITY_MISMATCH", message, hint: HINT });
}

function infoOf(sink: TableSubject): LogicalWriteInfo {
  const { planId, incarnation } = attemptOf(sink, 0);
  const isBatch = sink.factory.kind === "batch";
  return {
    queryId: isBatch ? planId : incarnation,
    schema: sink.schema,
    options: sink.options.options ?? {},
    plannedAt: sink.surroundings.now,
    ...(isBatch ? { saveMode: "append" } : {}),
  };
}
