import { requestLimits } from "../../aws/request-limits.ts";
import { MillraceError } from "../../contract/errors.ts";

/** What signs requests to AWS. */
export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/** The credentials and the region of the AWS SDK's default chains. */
export interface AwsIdentity {
  /** Returns valid credentials. Those that expire are replaced in time. */
  credentials(): Promise<AwsCredentials>;
  region(): Promise<string>;
}

/**
 * Returns the identity that all clients of the AWS SDK in this process have. It is read from a
 * client, because the chain itself is in no package that Millrace depends on. `region` overrides
 * the default one.
 */
export async function awsIdentity(region?: string): Promise<AwsIdentity> {
  const { S3Client } = await import("@aws-sdk/client-s3");
  const { config } = new S3Client({
    requestHandler: requestLimits(),
    ...(region === undefined ? {} : { region }),
  });
  return {
    credentials: () => guarded("credentials", "aws sts get-caller-identity", config.credentials),
    region: async () => {
      const command = "aws configure get region";
      const found = await guarded("region", command, config.region);
      if (found === undefined) throw missing("region", command);
      return found;
    },
  };
}

async function guarded<T>(what: string, command: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw missing(what, command, error);
  }
}

function missing(what: string, command: string, cause?: unknown): MillraceError {
  return new MillraceError("AWS_CREDENTIALS_MISSING", `the AWS SDK finds no ${what}`, {
    hint: `Set it as for the AWS CLI: \`${command}\` tells what is found. Then \`millrace run\` again.`,
    ...(cause === undefined ? {} : { cause }),
  });
}
