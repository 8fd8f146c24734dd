import { Validations } from "aws-cdk-lib";
import type { IConstruct } from "constructs";

/** Explains a finding of cdk-nag that stays, to whoever checks an app that has the construct in it. */
export function accept(scope: IConstruct, id: string, reason: string): void {
  Validations.of(scope).acknowledge({ id, reason });
}
