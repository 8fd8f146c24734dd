import { MemoryStore, memoryObjects } from "../../shared/store/memory.ts";
import { storeSuite } from "../../shared/store/store.suite.ts";

storeSuite("memory", async () => new MemoryStore(memoryObjects(Date.now)));
