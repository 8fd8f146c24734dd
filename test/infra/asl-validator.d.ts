declare module "asl-validator" {
  /** Checks a state machine against the JSON schemas of Amazon States Language. */
  const validate: (definition: object) => { readonly isValid: boolean; errorsText(): string };
  // biome-ignore lint/style/noDefaultExport: the package has a default export
  export default validate;
}
