import { Stack, Validations } from "aws-cdk-lib";
import type { PolicyStatement, Role } from "aws-cdk-lib/aws-iam";
import type { IConstruct } from "constructs";

/** Suppresses a cdk-nag finding with a reason, for users who check an app with this construct. */
export function accept(scope: IConstruct, id: string, reason: string): void {
  Validations.of(scope).acknowledge({ id, reason });
}

/**
 * Adds statements to a role's policy, and gives cdk-nag a reason for each wildcard in a resource.
 */
export function grant(role: Role, ...statements: readonly PolicyStatement[]): void {
  for (const statement of statements) {
    role.addToPolicy(statement);
    for (const resource of statement.resources) {
      const name = formatResource(Stack.of(role).resolve(resource));
      if (name.includes("*"))
        accept(role, `AwsSolutions-IAM5[Resource::${name}]`, reasonFor(statement, name));
    }
  }
}

function reasonFor({ actions }: PolicyStatement, name: string): string {
  if (name === "*") return `AWS lets ${actions.join(", ")} be allowed for all resources only.`;
  if (actions.includes("lambda:InvokeFunction"))
    return "Versions of the pipeline's own functions: a running execution calls those it started with.";
  return actions[0]?.startsWith("states:")
    ? "The pipeline's own executions: their names are made when they start."
    : "Objects below the pipeline's own prefix: batch, partition and a random id end their keys.";
}

/** Formats a resource with its references as cdk-nag does: `<Logs.Arn>:*`. */
function formatResource(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  const [[name, argument] = ["", undefined]] = Object.entries(value);
  if (name === "Ref") return `<${String(argument)}>`;
  if (name === "Fn::GetAtt") return `<${(argument as string[]).join(".")}>`;
  if (name === "Fn::Join") return (argument as [string, unknown[]])[1].map(formatResource).join("");
  return JSON.stringify(value);
}
