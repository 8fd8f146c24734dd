import { installPostgres } from "../test/postgres/install.ts";

/**
 * Makes sure that the tests of the postgres connector have a PostgreSQL server. `--debian`:
 * Debian's packages even where the machine has one.
 */

try {
  const startedAt = performance.now();
  const { bin } = installPostgres(process.argv.includes("--debian"));
  console.error(`postgres: ${bin}, in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
