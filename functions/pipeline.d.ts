/**
 * The user's pipeline. When esbuild makes the bundle, it replaces this module with the user's entry
 * file.
 */
declare module "millrace:pipeline" {
  const pipeline: import("../shared/contract/pipeline.ts").Pipeline;
  // biome-ignore lint/style/noDefaultExport: a pipeline file has a default export
  export default pipeline;
}
