import { GetParameterCommand, SSMClient } from "@aws-sdk/client-ssm";
import { requestLimits } from "../shared/aws/request-limits.ts";

let client: SSMClient | undefined;

/** Returns the decrypted value of a parameter of Parameter Store. */
export async function parameterValue(name: string): Promise<string | undefined> {
  client ??= new SSMClient({ requestHandler: requestLimits() });
  const parameter = new GetParameterCommand({ Name: name, WithDecryption: true });
  return (await client.send(parameter)).Parameter?.Value;
}
