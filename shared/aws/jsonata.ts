/**
 * Typed JSONata expressions for the state machine. A path is written as a function, such as
 * `input((work: Work) => work.run)`. So a path to a missing field does not compile, and renaming a
 * field also renames it here.
 */

declare const value: unique symbol;

/**
 * An expression in the syntax of Amazon States Language, `{% … %}`. `T` is the type of its value.
 */
export type Expression<T> = string & { readonly [value]: T };

/** A payload in which each field is an expression or a nested payload. */
export type Template<T> =
  | Expression<T>
  | (T extends object ? { readonly [Field in keyof T]: Template<T[Field]> } : never);

/** The parts of Step Functions' context object that are used here. */
interface ExecutionContext {
  readonly Execution: { readonly Id: string; readonly StartTime: string };
  readonly State: { readonly RetryCount: number };
}

const INPUT = "$states.input";

/** An expression for a part of the state's input. */
export function input<Input, T>(select: (input: Input) => T): Expression<T> {
  return expression(pathOf(INPUT, select));
}

/** An expression for a part of the execution's context object. */
export function context<T>(select: (context: ExecutionContext) => T): Expression<T> {
  return expression(pathOf("$states.context", select));
}

/** An expression for a part of the current item of a Map state. */
export function mapItem<Item, T>(select: (item: Item) => T): Expression<T> {
  return expression(pathOf("$states.context.Map.Item.Value", select));
}

/** An expression that is true if a part of the state's input equals `wanted`. */
export function inputIs<Input, T extends string>(
  select: (input: Input) => T,
  wanted: NoInfer<T>,
): Expression<boolean> {
  return expression(`${pathOf(INPUT, select)} = "${wanted}"`);
}

/**
 * An expression for the state's input with additional fields. The value of each field is JSONata
 * text without `{% %}`.
 */
export function inputWith<Added>(fields: { readonly [Field in keyof Added]?: string }): Expression<Added> {
  const added = Object.entries(fields).map(([name, text]) => `"${name}": ${text}`);
  return expression(`$merge([${INPUT}, { ${added.join(", ")} }])`);
}

function expression<T>(text: string): Expression<T> {
  return `{% ${text} %}` as Expression<T>;
}

function pathOf<From>(root: string, select: (from: From) => unknown): string {
  return String(select(pathProxy(root) as From));
}

/**
 * Returns a proxy that records the property path. Converted to text it is the path itself, and each
 * of its properties is a proxy for the longer path.
 */
function pathProxy(path: string): object {
  return new Proxy(
    {},
    {
      get: (_, name) => (name === Symbol.toPrimitive ? () => path : pathProxy(`${path}.${String(name)}`)),
    },
  );
}
