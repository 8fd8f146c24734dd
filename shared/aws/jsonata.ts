/**
 * JSONata expressions over what goes from state to state. Paths are written as functions, such as
 * `input((work: Work) => work.run)`: one that does not exist does not compile, and an editor that
 * renames a field renames it here too.
 */

declare const value: unique symbol;

/** An expression as Amazon States Language has it, `{% … %}`, whose value is a `T`. */
export type Expression<T> = string & { readonly [value]: T };

/** A payload whose fields may be expressions. */
export type Template<T> =
  | Expression<T>
  | (T extends object ? { readonly [Field in keyof T]: Template<T[Field]> } : never);

/** What Step Functions knows of an execution. */
interface ExecutionContext {
  readonly Execution: { readonly Id: string; readonly StartTime: string };
  readonly State: { readonly RetryCount: number };
}

const INPUT = "$states.input";

/** Part of a state's input. */
export function input<Input, T>(select: (input: Input) => T): Expression<T> {
  return expression(pathOf(INPUT, select));
}

/** Part of what Step Functions knows of the execution. */
export function context<T>(select: (context: ExecutionContext) => T): Expression<T> {
  return expression(pathOf("$states.context", select));
}

/** Part of the item that a Map is at. */
export function mapItem<Item, T>(select: (item: Item) => T): Expression<T> {
  return expression(pathOf("$states.context.Map.Item.Value", select));
}

/** Whether part of a state's input is `wanted`. */
export function inputIs<Input, T extends string>(
  select: (input: Input) => T,
  wanted: NoInfer<T>,
): Expression<boolean> {
  return expression(`${pathOf(INPUT, select)} = "${wanted}"`);
}

/** A state's input with the fields of `Added`, each by an expression without its `{% %}`. */
export function inputWith<Added>(fields: { readonly [Field in keyof Added]?: string }): Expression<Added> {
  const added = Object.entries(fields).map(([name, text]) => `"${name}": ${text}`);
  return expression(`$merge([${INPUT}, { ${added.join(", ")} }])`);
}

function expression<T>(text: string): Expression<T> {
  return `{% ${text} %}` as Expression<T>;
}

function pathOf<From>(root: string, select: (from: From) => unknown): string {
  return String(select(standIn(root) as From));
}

/**
 * Stands in for the value at `path`: as text it is the path, and its properties stand in for those
 * of the value.
 */
function standIn(path: string): object {
  return new Proxy(
    {},
    {
      get: (_, name) => (name === Symbol.toPrimitive ? () => path : standIn(`${path}.${String(name)}`)),
    },
  );
}
