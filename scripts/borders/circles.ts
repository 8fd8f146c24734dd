/**
 * Returns a line for each circle of a graph, with the files in the circle. A circle is left out if
 * all its files are in earlier circles.
 */
export function circles(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const seen = new Set<string>();
  const found: string[] = [];
  for (const start of graph.keys()) {
    const circle = seen.has(start) ? undefined : shortestBack(graph, start);
    if (circle === undefined) continue;
    for (const file of circle) seen.add(file);
    found.push(`a circle of imports: ${[...circle, start].join(" → ")}`);
  }
  return found;
}

/** Returns the files of a shortest path from a file back to itself. The file itself comes first. */
function shortestBack(graph: ReadonlyMap<string, readonly string[]>, start: string): string[] | undefined {
  const ways: string[][] = [[start]];
  const reached = new Set<string>();
  for (const way of ways) {
    for (const next of graph.get(way.at(-1) ?? start) ?? []) {
      if (next === start) return way;
      if (reached.has(next)) continue;
      reached.add(next);
      ways.push([...way, next]);
    }
  }
  return undefined;
}
