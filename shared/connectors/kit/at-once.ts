/**
 * Runs `count` loops in parallel, each until `step` returns false. After the first error no further
 * step starts. The error is thrown when all loops have ended, so that no work goes on in the
 * background.
 */
export async function loopsAtOnce(count: number, step: () => Promise<boolean>): Promise<void> {
  const errors: unknown[] = [];
  const loop = async (): Promise<void> => {
    try {
      while (errors.length === 0 && (await step()));
    } catch (error) {
      errors.push(error);
    }
  };
  await Promise.all(Array.from({ length: count }, loop));
  if (errors.length > 0) throw errors[0];
}

/**
 * Calls `body` for each item, with at most `limit` calls in parallel. After the first error no
 * further call starts. The error is thrown when all calls have ended.
 */
export async function atOnce<T>(
  limit: number,
  items: Iterable<T> | AsyncIterable<T>,
  body: (item: T) => Promise<void>,
): Promise<void> {
  const source = oneByOne(items);
  try {
    await loopsAtOnce(limit, async () => {
      const next = await source.next();
      if (next.done) return false;
      await body(next.value);
      return true;
    });
  } finally {
    await source.return();
  }
}

async function* oneByOne<T>(items: Iterable<T> | AsyncIterable<T>): AsyncGenerator<T, void, void> {
  yield* items;
}
