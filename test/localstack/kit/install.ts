import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { requireTools, type Tools } from "./machine.ts";
import { HOME, LIBRARIES, PYTHON, SOURCES } from "./paths.ts";
import { run } from "./processes.ts";

/**
 * Installs LocalStack below .cache/localstack, in parts. The digest of a part's inputs is written
 * to its stamp file after the installation. A part is installed again if its stamp is missing or
 * differs from the current digest.
 */

interface Part {
  readonly name: string;
  /** Files below test/localstack. If one of them changes, the part is installed again. */
  readonly sources: readonly string[];
  /** A path that exists after the installation. */
  readonly result: string;
  readonly install: (tools: Tools, signal: AbortSignal) => Promise<void>;
}

const DYNAMODB = join(LIBRARIES, "dynamodb-local/2");
const JSONATA = join(LIBRARIES, "jsonata/0.9.7");
const JAVA = join(LIBRARIES, "java/21");
/**
 * The version that LocalStack requires. The package has a single dependency, with an exact version.
 */
const KINESIS_VERSION = "0.5.2";
const KINESIS = join(LIBRARIES, "kinesis-local", KINESIS_VERSION);
const PIP_INSTALL = ["-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input"];

const python: Part = {
  name: "python",
  sources: ["requirements.txt", "constraints.txt"],
  result: PYTHON,
  install: async (tools, signal) => {
    await must("python -m venv", tools.python, ["-m", "venv", "--clear", join(HOME, "python")], signal);
    const pinned = ["-c", join(SOURCES, "constraints.txt"), "-r", join(SOURCES, "requirements.txt")];
    await must("pip install", PYTHON, [...PIP_INSTALL, ...pinned], signal);
  },
};

const executor: Part = {
  name: "executor",
  sources: [...python.sources, ...filesOf("executor")],
  result: PYTHON,
  install: async (_tools, signal) => {
    // The sources are copied, because pip writes built files beside them.
    const copy = emptied(join(HOME, "executor"));
    cpSync(join(SOURCES, "executor"), copy, { recursive: true });
    const flags = ["--no-deps", "--no-build-isolation", "--force-reinstall"];
    await must("pip install", PYTHON, [...PIP_INSTALL, ...flags, copy], signal);
    rmSync(copy, { recursive: true });
  },
};

const java: Part = {
  name: "java",
  sources: [],
  result: join(JAVA, "bin/java"),
  install: async (tools) => {
    // LocalStack looks for Java 21 only in this folder. The programs that it starts also run on
    // Java 17.
    mkdirSync(join(LIBRARIES, "java"), { recursive: true });
    rmSync(JAVA, { force: true });
    symlinkSync(tools.javaHome, JAVA);
  },
};

const jsonata: Part = {
  name: "jsonata",
  sources: ["libraries/jsonata.pom.xml"],
  result: join(JSONATA, "jsonata-0.9.7.jar"),
  install: async (_tools, signal) => await copyJars("jsonata.pom.xml", emptied(JSONATA), signal),
};

const dynamoDb: Part = {
  name: "dynamodb",
  sources: ["libraries/dynamodb-local.pom.xml", "libraries/NoAgent.java"],
  result: join(DYNAMODB, "DynamoDBLocal.jar"),
  install: async (tools, signal) => {
    const libraries = join(emptied(DYNAMODB), "DynamoDBLocal_lib");
    await copyJars("dynamodb-local.pom.xml", libraries, signal);
    for (const name of readdirSync(libraries)) {
      // Java loads the native library by its name without a version.
      const native = /^(libsqlite4java-linux-\w+)-[\d.]+\.so$/.exec(name)?.[1];
      if (native) renameSync(join(libraries, name), join(libraries, `${native}.so`));
    }
    const jars = readdirSync(libraries).filter((name) => name.endsWith(".jar"));
    await makeAgentJar(tools, signal);
    await makeJar(tools, "DynamoDBLocal.jar", [], signal, {
      "Main-Class": "com.amazonaws.services.dynamodbv2.local.main.ServerRunner",
      "Class-Path": jars
        .sort()
        .map((name) => `DynamoDBLocal_lib/${name}`)
        .join(" "),
    });
  },
};

const kinesis: Part = {
  name: "kinesis",
  sources: [],
  result: join(KINESIS, "node_modules/kinesis-local/main.js"),
  install: async (_tools, signal) => {
    const flags = ["--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", emptied(KINESIS)];
    await must("npm install", "npm", ["install", ...flags, `kinesis-local@${KINESIS_VERSION}`], signal);
  },
};

/**
 * Rows of parts. A part needs the earlier parts of its row. All rows are installed at the same
 * time.
 */
const ROWS: readonly (readonly Part[])[] = [[python, executor], [java, jsonata, dynamoDb], [kinesis]];

export async function install(signal: AbortSignal): Promise<void> {
  if (ROWS.flat().every(isInstalled)) return;
  const tools = await requireTools(signal);
  const broken = new AbortController();
  const either = AbortSignal.any([signal, broken.signal]);
  const rows = ROWS.map(async (parts) => {
    for (const part of parts) if (!isInstalled(part)) await installPart(part, tools, either);
  });
  // If a row fails, the other rows are stopped and awaited, because they must not outlive this
  // process.
  for (const row of rows) row.catch((error: unknown) => broken.abort(error));
  await Promise.allSettled(rows);
  either.throwIfAborted();
}

async function installPart(part: Part, tools: Tools, signal: AbortSignal): Promise<void> {
  console.error(`localstack: installing ${part.name}`);
  rmSync(stampOf(part), { force: true });
  await part.install(tools, signal);
  mkdirSync(join(HOME, "stamps"), { recursive: true });
  writeFileSync(stampOf(part), digestOf(part));
}

function isInstalled(part: Part): boolean {
  const stamp = stampOf(part);
  return existsSync(part.result) && existsSync(stamp) && readFileSync(stamp, "utf8") === digestOf(part);
}

function stampOf(part: Part): string {
  return join(HOME, "stamps", part.name);
}

function digestOf(part: Part): string {
  const hash = createHash("sha256");
  // The digest includes this file, because it decides how parts are made, and the folder, because a
  // virtual environment cannot be moved.
  hash.update(HOME).update(readFileSync(import.meta.filename));
  for (const source of part.sources) hash.update(`\0${source}\0`).update(readFileSync(join(SOURCES, source)));
  return hash.digest("hex");
}

/** Returns the files below a folder of the sources, except files that Python has compiled. */
function filesOf(folder: string): string[] {
  return readdirSync(join(SOURCES, folder), { recursive: true, encoding: "utf8" })
    .map((name) => join(folder, name))
    .filter((path) => !path.includes("__pycache__") && statSync(join(SOURCES, path)).isFile())
    .sort();
}

async function copyJars(pom: string, folder: string, signal: AbortSignal): Promise<void> {
  const goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", `-DoutputDirectory=${folder}`];
  await must("mvn", "mvn", ["-q", "-B", "-f", join(SOURCES, "libraries", pom), ...goal], signal);
}

async function makeAgentJar(tools: Tools, signal: AbortSignal): Promise<void> {
  const classes = mkdtempSync(join(HOME, "classes-"));
  const source = join(SOURCES, "libraries/NoAgent.java");
  await must("javac", join(tools.javaHome, "bin/javac"), ["-d", classes, source], signal);
  const content = ["-C", classes, "NoAgent.class"];
  await makeJar(tools, "ddb-local-loader-0.1.jar", content, signal, { "Premain-Class": "NoAgent" });
  rmSync(classes, { recursive: true });
}

async function makeJar(
  tools: Tools,
  name: string,
  content: readonly string[],
  signal: AbortSignal,
  attributes: Readonly<Record<string, string>>,
): Promise<void> {
  const manifest = join(DYNAMODB, `${basename(name, ".jar")}.mf`);
  const lines = Object.entries(attributes).map(([key, value]) => wrapped(`${key}: ${value}`));
  writeFileSync(manifest, `${lines.join("\n")}\n`);
  const args = ["--create", "--file", join(DYNAMODB, name), "--manifest", manifest, ...content];
  await must("jar", join(tools.javaHome, "bin/jar"), args, signal);
}

/**
 * Wraps a line of a Java manifest. A line has at most 72 bytes, and it continues after a newline
 * and a space.
 */
function wrapped(line: string): string {
  return line.replace(/.{70}(?=.)/g, "$&\n ");
}

function emptied(folder: string): string {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return folder;
}

async function must(
  name: string,
  command: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const code = await run(command, args, { signal });
  if (code !== 0) throw new Error(`${name} exited with ${code}: what it said is above`);
}
