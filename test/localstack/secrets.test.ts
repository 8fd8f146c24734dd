import { CreateSecretCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { PutParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Control } from "./control.ts";
import { type DeployedPipeline, deployed } from "./deployed.ts";
import { PARAMETER, SECRET } from "./names.ts";

const PASSWORD = "correct horse battery staple";
const TOKEN = "token-5e0c7b1d";
let control: Control;
let secretive: DeployedPipeline;

beforeAll(async () => {
  control = await Control.start();
  const stack = await deployed("MillraceTests");
  secretive = stack.pipeline("secretive");
  const SecretString = JSON.stringify({ password: PASSWORD, other: "not asked for" });
  await new SecretsManagerClient({}).send(new CreateSecretCommand({ Name: SECRET, SecretString }));
  await new SSMClient({}).send(
    new PutParameterCommand({ Name: PARAMETER, Value: TOKEN, Type: "SecureString" }),
  );
});

afterAll(async () => {
  await control.close();
});

describe("secrets", () => {
  it("The source sees its secrets, which are in no log, no ledger and no history of an execution", async () => {
    control.available = 8;
    // The error of the source contains the row and the secrets.
    control.deed = ({ call, partition }) => (call === "read" && partition === 1 ? "fail" : "go on");
    const failed = await secretive.execute({ trigger: "once" });
    expect(failed).toMatchObject({ status: "FAILED", error: "SOURCE_FAILED" });
    control.deed = () => "go on";
    const replayed = await secretive.execute({ trigger: "once" });
    expect(replayed).toMatchObject({ status: "SUCCEEDED", output: { why: "committed" } });
    await secretive.vacuum({});

    for (const call of control.calls)
      expect(call.secrets).toEqual({ NUMBERS_PASSWORD: PASSWORD, NUMBERS_TOKEN: TOKEN });
    const places = {
      histories: JSON.stringify([await secretive.history(failed.arn), await secretive.history(replayed.arn)]),
      ledger: await secretive.items(),
      objects: await objects(),
      Plan: await logs("Plan"),
      Write: await logs("Write"),
      Finalize: await logs("Finalize"),
      Vacuum: await logs("Vacuum"),
    };
    for (const [place, text] of Object.entries(places)) {
      expect(text.length, place).toBeGreaterThan(100);
      for (const told of [PASSWORD, TOKEN, "not asked for", "row content"])
        expect(text.includes(told), `${place}: ${told}`).toBe(false);
    }
    expect(places.Write).toContain("SOURCE_FAILED");
  });
});

async function logs(step: Parameters<DeployedPipeline["logs"]>[0]): Promise<string> {
  return (await secretive.logs(step)).join("");
}

/** Returns the text of all objects except data files, such as partitions and failures. */
async function objects(): Promise<string> {
  let text = "";
  for (const key of await secretive.keys("batches/"))
    text += Buffer.from((await secretive.store.get(key)) ?? []).toString();
  return text;
}
