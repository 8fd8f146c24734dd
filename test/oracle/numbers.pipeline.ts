import { pipeline } from "../../shared/contract/pipeline.ts";
import { readJob } from "./job.ts";
import { Src } from "./sources/src.ts";
import { SOURCES } from "./sources.ts";

const { source, trace, ropts, wopts } = readJob();
const format = SOURCES.get(source) ?? Src;

export default pipeline("numbers")
  .readStream.format(format)
  .options({ ...ropts, trace })
  .writeStream.format(Src)
  .options({ ...wopts, trace });
