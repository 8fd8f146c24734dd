import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";
import { requestLimits } from "../shared/aws/request-limits.ts";

let client: SecretsManagerClient | undefined;

/** The text of a secret; `undefined` if it is binary. */
export async function secretText(secret: string): Promise<string | undefined> {
  client ??= new SecretsManagerClient({ requestHandler: requestLimits() });
  return (await client.send(new GetSecretValueCommand({ SecretId: secret }))).SecretString;
}
