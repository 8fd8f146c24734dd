/** The user's pipeline: esbuild puts the entry file in its place. */
declare module "millrace:pipeline" {
  const pipeline: import("../shared/contract/pipeline.ts").Pipeline;
  // biome-ignore lint/style/noDefaultExport: as a pipeline file exports it
  export default pipeline;
}
