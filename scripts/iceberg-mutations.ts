import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { mutated } from "../test/faults/mutate.ts";
import { ICEBERG_MUTATIONS, type IcebergMutation } from "../test/iceberg/mutants/mutations.ts";
import { SCENARIOS, type ScenarioName } from "../test/iceberg/mutants/scenarios.ts";
import { startRestCatalog } from "../test/iceberg/support/servers.ts";
import { setUpIceberg } from "./setup-iceberg.ts";

/**
 * `node scripts/iceberg-mutations.ts [--only TEXT]`: removes each rule of the Iceberg sink, one at
 * a time. Without the rule, the scenario of the mutation must show the expected violation.
 */

type Scenarios = typeof SCENARIOS;

const CALM: ScenarioName = "batches without a fault";
const MODULE = new URL("../test/iceberg/mutants/scenarios.ts", import.meta.url);
let tables = 0;

if (import.meta.main) process.exitCode = await main();

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { only: { type: "string", default: "" } } });
  if (!setUpIceberg()) return process.env["CI"] ? 1 : 0;
  const chosen = ICEBERG_MUTATIONS.filter(({ what }) => what.includes(values.only));
  const folder = mkdtempSync(join(tmpdir(), "millrace-mutations-"));
  const rest = await startRestCatalog(folder);
  const runIn = (scenarios: Scenarios): Run => {
    return (name) => scenarios[name]({ folder, restPort: rest.port, table: `shop.t${tables++}` });
  };
  try {
    if (!(await passesAsItIs(chosen, runIn(SCENARIOS)))) return 1;
    let caught = 0;
    for (const mutation of chosen) {
      const { SCENARIOS: mutants } = await mutated<{ SCENARIOS: Scenarios }>(mutation.edits, [MODULE]);
      if (await isCaught(mutation, runIn(mutants))) caught++;
    }
    console.log(`${caught} of ${chosen.length} caught`);
    return chosen.length > 0 && caught === chosen.length ? 0 : 1;
  } finally {
    await rest.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a scenario and returns its violations. */
type Run = (name: ScenarioName) => Promise<readonly string[]>;

async function passesAsItIs(mutations: readonly IcebergMutation[], run: Run): Promise<boolean> {
  for (const name of new Set([CALM, ...mutations.map(({ caughtBy }) => caughtBy)])) {
    const violations = await run(name);
    if (violations.length === 0) continue;
    console.error(`"${name}" fails with no rule removed: ${violations.join("; ")}`);
    return false;
  }
  return true;
}

async function isCaught({ what, caughtBy, shows }: IcebergMutation, run: Run): Promise<boolean> {
  // If the sink fails without any fault, every scenario would seem to catch the mutation.
  const always = caughtBy === CALM ? [] : await run(CALM);
  const violations = always.length > 0 ? [] : await run(caughtBy);
  const isShown = violations.some((violation) => violation.includes(shows));
  const found = [...always.map((one) => `without a fault: ${one}`), ...violations].join("; ");
  console.log(`${isShown ? "✓" : "✗"} ${what}\n    ${caughtBy}: ${found || "nothing"}`);
  return isShown;
}
