import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";

let client: SSMClient | undefined;

/** The value of a parameter, decrypted. */
export async function parameterValue(name: string): Promise<string | undefined> {
  client ??= new SSMClient({});
  const parameter = new GetParameterCommand({ Name: name, WithDecryption: true });
  return (await client.send(parameter)).Parameter?.Value;
}
