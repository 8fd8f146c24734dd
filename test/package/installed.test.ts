import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { isBuiltin } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { OPTIONAL_PACKAGES } from "../../shared/contract/optional-package.ts";
import { ROOT } from "../support/root.ts";
import { Project } from "./project.ts";

const MAX_MEGABYTES = 66;
const MAX_PACKAGES = 60;

interface Manifest {
  readonly exports: Readonly<Record<string, unknown>>;
  readonly scripts: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional: boolean }>>;
}
const manifest = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as Manifest;
const ENTRY_POINTS = Object.keys(manifest.exports)
  .filter((name) => name !== "./package.json")
  .map((name) => `millrace${name.slice(1)}`);

/**
 * Pipelines by the name of their case. Each pipeline except the last needs a package that is not
 * installed. The packages that `catalog` needs are named one after the other.
 */
const PIPELINES = {
  kinesis: reading("kinesis", "Kinesis", { streamName: "orders" }),
  sqs: reading("sqs", "Sqs", { queueUrl: "https://sqs.eu-central-1.amazonaws.com/1/orders" }),
  postgres: reading("postgres", "Postgres", { table: "orders", cursorColumn: "id" }),
  sink: `import { pipeline } from "millrace";
     import { Rate } from "millrace/connectors/rate";
     import { Postgres } from "millrace/connectors/postgres";
     export default pipeline("orders").readStream.format(Rate)
       .writeStream.format(Postgres).options({ table: "orders" });`,
  iceberg: intoIceberg({ type: "glue", warehouse: "s3://lake/tables" }),
  catalog: intoIceberg({ type: "postgres", url: "postgres://localhost/lake", warehouse: "s3://lake/tables" }),
  registered: `import { pipeline } from "millrace";
     import { ArrowTable } from "millrace/connectors/arrow-table";
     import { Iceberg } from "millrace/connectors/iceberg";
     import { Kinesis } from "millrace/connectors/kinesis";
     import { Postgres } from "millrace/connectors/postgres";
     import { Rate } from "millrace/connectors/rate";
     import { Sqs } from "millrace/connectors/sqs";
     export const all = [Iceberg, Kinesis, Postgres, Sqs];
     export default pipeline("orders").readStream.format(Rate).writeStream.format(ArrowTable);`,
} as const;

function reading(connector: string, className: string, options: object): string {
  return `import { pipeline } from "millrace";
    import { ArrowTable } from "millrace/connectors/arrow-table";
    import { ${className} } from "millrace/connectors/${connector}";
    export default pipeline("orders").readStream.format(${className})
      .options(${JSON.stringify(options)}).writeStream.format(ArrowTable);`;
}

function intoIceberg(catalog: object): string {
  return `import { pipeline } from "millrace";
    import { Iceberg } from "millrace/connectors/iceberg";
    import { Rate } from "millrace/connectors/rate";
    export default pipeline("orders").readStream.format(Rate).writeStream.format(Iceberg)
      .options(${JSON.stringify({ table: "shop.orders", catalog })});`;
}

const DRIVER_USERS = 'the connector "postgres" or a PostgreSQL catalog of "iceberg"';
const NEEDED = [
  ["kinesis", "@aws-sdk/client-kinesis", 'the connector "kinesis"'],
  ["sqs", "@aws-sdk/client-sqs", 'the connector "sqs"'],
  ["postgres", "pg", DRIVER_USERS],
  ["sink", "pg", DRIVER_USERS],
  ["iceberg", "parquet-wasm", 'the connector "iceberg"'],
] as const;

const missing = (name: string, neededBy: string) =>
  `${neededBy} needs the package ${name}, which is not installed`;

let project: Project;

beforeAll(() => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-installed-"));
  project = new Project(folder);
  // Every CDK app has these packages.
  project.link("aws-cdk-lib", "constructs", "esbuild");
  return () => rmSync(folder, { recursive: true, force: true });
});

describe("the installed package", () => {
  it("The installed package brings at most 66 MB and 60 packages, of which none is optional", () => {
    const { packages, megabytes } = project;
    console.log(`${packages.length} packages, ${megabytes.toFixed(1)} MB`);
    expect(packages.length).toBeLessThanOrEqual(MAX_PACKAGES);
    expect(megabytes).toBeLessThanOrEqual(MAX_MEGABYTES);
    expect(packages.filter((name) => name in OPTIONAL_PACKAGES)).toEqual([]);
  });

  it("The package is installed without a warning and runs no script while it is installed", () => {
    expect(project.told).toBe("");
    const hooks = ["preinstall", "install", "postinstall", "prepare", "prepublish"];
    expect(Object.keys(manifest.scripts).filter((name) => hooks.includes(name))).toEqual([]);
  });

  it("The packed package has the command, the build and the guides, and no other files", () => {
    const others = project.packed.filter(
      (path) => !/^(?:bin\/.*\.mjs|dist\/.*\.(?:js|cjs|d\.ts|d\.cts)|docs\/[\w-]+\.md)$/.test(path),
    );
    expect(others.sort()).toEqual(["LICENSE", "README.md", "package.json"]);
  });

  it.each(ENTRY_POINTS)("The entry point %s loads without the optional packages", (name) => {
    const script = `console.log(Object.keys(await import(${JSON.stringify(name)})).length > 0)`;
    const { stdout, stderr } = project.node("--input-type=module", "-e", script);
    expect(stderr).toBe("");
    expect(stdout).toBe("true\n");
  });
});

describe("an optional package", () => {
  it("Each optional package is an optional peer and a development dependency", () => {
    for (const name of Object.keys(OPTIONAL_PACKAGES)) {
      expect(manifest.peerDependencies).toHaveProperty([name]);
      expect(manifest.devDependencies).toHaveProperty([name]);
      expect(manifest.peerDependenciesMeta[name]).toEqual({ optional: true });
    }
  });

  it.each(NEEDED)(
    "A missing optional package ends a run before it plans: %s needs %s",
    (kind, name, neededBy) => {
      project.write("pipeline.ts", PIPELINES[kind]);
      const { status, stderr } = project.millrace("run", "pipeline.ts", "--home", kind);
      expect(stderr).toContain(`error DEPENDENCY_MISSING: ${missing(name, neededBy)}`);
      expect(stderr).toContain(`do:    npm install ${name}\n`);
      expect(status).toBe(2);
      expect(project.millrace("batches", "orders", "--home", kind).stderr).toContain("PIPELINE_NOT_FOUND");
    },
  );

  it("A missing optional package ends runPipeline of millrace/testing before it reads", () => {
    project.write("pipeline.ts", PIPELINES.kinesis);
    project.write(
      "test.ts",
      `import { runPipeline } from "millrace/testing";
       import pipeline from "./pipeline.ts";
       await runPipeline(pipeline).catch((error) => console.log(error.code, error.message));`,
    );
    expect(project.node("test.ts").stdout).toBe(
      `DEPENDENCY_MISSING ${missing("@aws-sdk/client-kinesis", 'the connector "kinesis"')}\n`,
    );
  });

  it("A missing optional package ends millrace vacuum --stack before it asks AWS", () => {
    const { status, stderr } = project.millrace("vacuum", "--stack", "Shop");
    expect(stderr).toContain(
      `DEPENDENCY_MISSING: ${missing("@aws-sdk/client-lambda", "millrace vacuum --stack")}`,
    );
    expect(status).toBe(2);
  });

  it("An optional package is not needed by a pipeline that only imports its connector", () => {
    project.write("pipeline.ts", PIPELINES.registered);
    const { status, stderr } = project.millrace("run", "pipeline.ts", "--home", "registered");
    expect(status, stderr).toBe(0);
  });
});

describe("a stack", () => {
  it("A deployment is not synthesized if its pipeline uses a connector whose package is missing", () => {
    expect(synthesize(NEEDED.map(([kind]) => [kind, ""]))).toEqual(
      NEEDED.map(([, name, neededBy]) => `DEPENDENCY_MISSING ${missing(name, neededBy)}`),
    );
  });

  it("A deployment is not synthesized if an option of the construct needs a missing package", () => {
    const secret = 'Secret.fromSecretNameV2(stack, "Secret", "token")';
    const parameter = 'StringParameter.fromStringParameterName(stack, "Parameter", "token")';
    const told = synthesize([
      ["registered", "tracing: true"],
      ["registered", `secrets: { TOKEN: { secret: ${secret} } }`],
      ["registered", `secrets: { TOKEN: { parameter: ${parameter} } }`],
    ]);
    const needed = [
      ["@aws-lambda-powertools/tracer", "the option tracing"],
      ["@aws-sdk/client-secrets-manager", "a secret in the option secrets"],
      ["@aws-sdk/client-ssm", "a parameter in the option secrets"],
    ] as const;
    expect(told).toEqual(
      needed.map(
        ([name, option]) => `DEPENDENCY_MISSING ${missing(name, `${option} of MicroBatchPipeline`)}`,
      ),
    );
  });

  it("A deployment with pipelineName is not synthesized if its file imports a connector whose package is missing", () => {
    expect(synthesize([["kinesis", 'pipelineName: "orders"']])).toEqual([
      `DEPENDENCY_MISSING ${missing("@aws-sdk/client-kinesis", 'the connector "kinesis"')}`,
    ]);
    expect(synthesize([["iceberg", 'pipelineName: "orders"']])).toEqual([
      `DEPENDENCY_MISSING ${missing("parquet-wasm", 'the connector "iceberg"')}`,
    ]);
  });

  it("A deployment is synthesized without the packages that it does not use, and its functions need no module beside them", () => {
    expect(synthesize([["registered", ""]])).toEqual(["synthesized"]);
    const bundles = globSync("out/asset.*/index.mjs", { cwd: project.folder });
    expect(bundles).toHaveLength(4);
    for (const bundle of bundles) {
      const code = readFileSync(join(project.folder, bundle), "utf8");
      const imported = [...code.matchAll(/\b(?:from|import|import\()"([@\w./:-]+)"/g)].map(
        ([, name = ""]) => name,
      );
      expect(imported.filter((name) => !isBuiltin(name))).toEqual([]);
    }
    const script = `console.log(typeof (await import("./${bundles[0]}")).handler)`;
    const { stdout, stderr } = project.node("--input-type=module", "-e", script);
    expect(stdout, stderr).toBe("function\n");
  });
});

describe("an Iceberg table without a PostgreSQL driver", () => {
  beforeAll(() => project.link("parquet-wasm"));

  it("Only a PostgreSQL catalog needs the driver, and a run ends before it plans without it", () => {
    project.write("pipeline.ts", PIPELINES.catalog);
    const { status, stderr } = project.millrace("run", "pipeline.ts", "--home", "catalog");
    expect(stderr).toContain(`error DEPENDENCY_MISSING: ${missing("pg", DRIVER_USERS)}`);
    expect(status).toBe(2);
    expect(project.millrace("batches", "orders", "--home", "catalog").stderr).toContain("PIPELINE_NOT_FOUND");
  });

  it("A deployment with a PostgreSQL catalog is not synthesized, and one with another catalog is", () => {
    expect(
      synthesize([
        ["catalog", ""],
        ["iceberg", ""],
        ["iceberg", 'pipelineName: "orders"'],
      ]),
    ).toEqual([`DEPENDENCY_MISSING ${missing("pg", DRIVER_USERS)}`, "synthesized", "synthesized"]);
  });
});

/**
 * Synthesizes a stack for each pipeline with these options of the construct. Returns one line per
 * stack, in the same order.
 */
function synthesize(cases: readonly (readonly [kind: string, props: string])[]): readonly string[] {
  for (const [kind, code] of Object.entries(PIPELINES)) project.write(`${kind}.ts`, code);
  const stacks = cases.map(
    ([kind, props], i) => `attempt("Shop${i}", (stack) => ({ entry: "${kind}.ts", ${props} }));`,
  );
  project.write(
    "app.ts",
    `import { App, Stack } from "aws-cdk-lib";
     import { Secret } from "aws-cdk-lib/aws-secretsmanager";
     import { StringParameter } from "aws-cdk-lib/aws-ssm";
     import { MicroBatchPipeline } from "millrace/cdk";
     function attempt(name, propsOf) {
       const app = new App({ outdir: "out", analyticsReporting: false });
       const stack = new Stack(app, name);
       try {
         new MicroBatchPipeline(stack, "Orders", propsOf(stack));
         app.synth();
         console.log("synthesized");
       } catch (error) {
         console.log(error.code, error.message);
       }
     }
     ${stacks.join("\n")}`,
  );
  const { stdout, stderr } = project.node("app.ts");
  expect(stderr).not.toMatch(/warn|error/i);
  return stdout.trimEnd().split("\n");
}
