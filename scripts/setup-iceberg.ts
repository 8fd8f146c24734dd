import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Environment, installDebian, pythonOf, run, setUpEnvironment } from "./setup-python.ts";

/**
 * `node scripts/setup-iceberg.ts`: sets up the Java side of the tests of Iceberg tables, below
 * .cache/iceberg: PySpark with Iceberg's runtime, and the REST catalog of Iceberg's own tests. The
 * jars are in Maven's own repository, so several clones share them.
 */

const HOME = fileURLToPath(new URL("../.cache/iceberg", import.meta.url));
const SOURCES = fileURLToPath(new URL("../test/iceberg/support/java", import.meta.url));
const SPARK: Environment = {
  folder: join(HOME, "spark"),
  packages: ["pyspark==4.1.1", "pyarrow==26.0.1"],
};

/** The Python with PySpark. It exists after `setUpIceberg` returned `true`, as do the jars. */
export const SPARK_PYTHON: string = pythonOf(SPARK);
/** The folder of the compiled class that starts the REST catalog. */
const CLASSES = join(HOME, "classes");

/** Returns the jars that PySpark needs. */
export function sparkJars(): readonly string[] {
  return jarsOf("spark");
}

/** Returns the class path of the REST catalog. */
export function restClassPath(): string {
  return [CLASSES, ...jarsOf("rest")].join(delimiter);
}

/**
 * Sets up what is missing. If that fails, prints why and returns `false`. The tests that need it
 * are then skipped, and CI counts that as a failure.
 */
export function setUpIceberg(): boolean {
  mkdirSync(HOME, { recursive: true });
  const isReady =
    hasJava() && resolveJars("rest") && resolveJars("spark") && compile() && setUpEnvironment(SPARK);
  if (!isReady) {
    console.error(
      "SKIPPED: the tests that read Iceberg tables with Spark need Java 17, Maven, and Python 3.10 or newer with venv and pip; they could not be set up here",
    );
  }
  return isReady;
}

/** Sets up only Java and PySpark. Returns `false` if that fails. */
export function setUpSpark(): boolean {
  return hasJava() && setUpEnvironment(SPARK);
}

/** True if all of it is there. */
export function hasIceberg(): boolean {
  return existsSync(SPARK_PYTHON) && existsSync(CLASSES) && [...jarsOf("rest"), ...sparkJars()].length > 0;
}

/** Debian's runtime contains the compiler, too. */
function hasJava(): boolean {
  return isInstalled("java", "openjdk-17-jre-headless");
}

function isInstalled(command: string, debianPackage: string): boolean {
  const answers = () => spawnSync(command, ["-version"], { stdio: "ignore" }).status === 0;
  return answers() || (installDebian(debianPackage) && answers());
}

/** Lets Maven bring the jars of a project, and notes their paths. */
function resolveJars(project: string): boolean {
  if (jarsOf(project).length > 0) return true;
  if (!isInstalled("mvn", "maven")) return false;
  const goal = ["dependency:build-classpath", `-Dmdep.outputFile=${pathsOf(project)}`];
  return run("mvn", ["-q", "-B", "-f", pomOf(project), ...goal]) && jarsOf(project).length > 0;
}

/** Returns the jars of a project, or none if one is missing or the project is newer. */
function jarsOf(project: string): readonly string[] {
  const paths = pathsOf(project);
  if (!existsSync(paths) || statSync(paths).mtimeMs < statSync(pomOf(project)).mtimeMs) return [];
  const jars = readFileSync(paths, "utf8").trim().split(delimiter);
  return jars.every((jar) => existsSync(jar)) ? jars : [];
}

function pomOf(project: string): string {
  return join(SOURCES, `${project}.pom.xml`);
}

function pathsOf(project: string): string {
  return join(HOME, `${project}.classpath`);
}

function compile(): boolean {
  const source = join(SOURCES, "LocalRest.java");
  const copy = join(CLASSES, "LocalRest.java");
  if (existsSync(copy) && readFileSync(copy, "utf8") === readFileSync(source, "utf8")) return true;
  rmSync(CLASSES, { recursive: true, force: true });
  mkdirSync(CLASSES, { recursive: true });
  const javac = ["-m", "jdk.compiler/com.sun.tools.javac.Main", "-cp", restClassPath(), "-d", CLASSES];
  if (!run("java", [...javac, source])) return false;
  writeFileSync(copy, readFileSync(source)); // It tells from which source the class was made.
  return true;
}

if (import.meta.main && !setUpIceberg() && process.env["CI"]) process.exitCode = 1;
