/** How long a page waits before it connects again, give or take a half. */
const LONGEST = 15_000;

/** How sockets connect again, for as long as it takes: the page says meanwhile that they are lost. */
export const patiently = {
  retryAttempts: Number.MAX_SAFE_INTEGER,
  shouldRetry: () => true,
  retryWait: (retries: number) => {
    // pages that were cut off together do not come back together
    const wait = Math.min(1_000 * 2 ** retries, LONGEST) * (0.5 + Math.random());
    return new Promise<void>((resolve) => setTimeout(resolve, wait));
  },
};
