import { getEnvironmentData, setEnvironmentData } from "node:worker_threads";

/**
 * Returns memory that all threads of this process share under a name. The main thread must call it
 * before it starts the threads; a thread that started earlier gets memory of its own. The name must
 * change if the layout does, because two copies of a module may be loaded.
 */
export function processMemory(name: string, bytes: number): SharedArrayBuffer {
  const known = getEnvironmentData(name);
  if (known instanceof SharedArrayBuffer) return known;
  const memory = new SharedArrayBuffer(bytes);
  setEnvironmentData(name, memory);
  return memory;
}
