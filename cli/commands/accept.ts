import type { PipelineIdentity } from "../../shared/engine/ports/ledger.ts";
import { type ActionFlags, actionOf, type ConsentFlags, withConsent, withIsoTime } from "../person.ts";
import { formatFields, formatOffset } from "../render/text.ts";
import { type TargetFlags, withTarget } from "../targets/open.ts";
import { findPipeline, requireHead } from "../targets/target.ts";

interface AcceptFlags extends TargetFlags, ActionFlags, ConsentFlags {
  readonly json?: boolean;
}

/**
 * `millrace accept`: lets the next run of a pipeline have another file, source, sink or target.
 * Returns the exit code.
 */
export async function acceptCommand(name: string, flags: AcceptFlags): Promise<number> {
  return await withTarget(flags, async (target) => {
    const found = await findPipeline(target, name);
    const head = await requireHead(found);
    const action = actionOf(flags);
    const result = { pipeline: name, action: "accept", ...withIsoTime(action), was: head.identity ?? null };
    return await withConsent(
      {
        shown: `${name}: accept\n${describe(head.identity)}\n${formatFields([
          ["offset", formatOffset(head.offset)],
          ["danger", "the next run goes on at this offset, whatever its source and its sink are then"],
        ])}`,
        question: "Is it the same pipeline, with the same rows at the same offsets?",
        done: `${name}: the next run says what it is`,
        result,
        apply: () => found.ledger.accept(name, action),
      },
      flags,
    );
  });
}

function describe(identity: PipelineIdentity | undefined): string {
  if (identity === undefined) return formatFields([["was", "not recorded"]]);
  const { kind, source, sink, target = "in the pipeline's own folder", entry } = identity;
  return formatFields([
    ["was", `a ${kind} of ${source} into ${sink}`],
    ["target", target],
    ...(entry === undefined ? [] : ([["file", entry]] as const)),
  ]);
}
