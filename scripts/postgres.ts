import { installPostgres } from "../test/postgres/install.ts";

/**
 * Installs a PostgreSQL server for the tests of the postgres connector if none is found. `--debian`
 * uses Debian's packages even if the machine has a server.
 */

try {
  const startedAt = performance.now();
  const { bin } = installPostgres(process.argv.includes("--debian"));
  console.error(`postgres: ${bin}, in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
