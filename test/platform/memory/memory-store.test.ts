import { MemoryStore, memoryObjects } from "../../../shared/platform/memory/memory-store.ts";
import { storeSuite } from "../../engine/ports/store.suite.ts";

storeSuite("memory", async () => new MemoryStore(memoryObjects(Date.now)));
