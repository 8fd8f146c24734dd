import { ledgerSuite } from "../engine/ports/ledger/ledger.suite.ts";
import { MemoryLedger } from "./memory-ledger.ts";

ledgerSuite("the memory of the search", async () => new MemoryLedger());
