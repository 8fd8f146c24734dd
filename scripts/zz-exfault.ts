import { exchange } from "../test/faults/generators.ts";
import { countCalls, runCase } from "../test/faults/cases.ts";
import { generator } from "../test/faults/chance.ts";
const calls = await countCalls();
const seed = Number(process.argv[2]); const n = Number(process.argv[3]);
const random = generator(seed);
let bad = 0;
for (let i = 0; i < n; i++) {
  const test = exchange(calls, random);
  const v = await runCase(test);
  if (v.length > 0) { bad++; if (bad <= 8) console.log(JSON.stringify(v.slice(0,3)), JSON.stringify(test)); }
}
console.log(`${n} cases, ${bad} bad`);
