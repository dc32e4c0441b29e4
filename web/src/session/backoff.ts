/** The longest wait before a socket reconnects, plus or minus a half. */
const LONGEST = 15_000;

/** The options by which sockets reconnect, without a limit. Meanwhile, the page shows that the connection is lost. */
export const reconnecting = {
  retryAttempts: Number.MAX_SAFE_INTEGER,
  shouldRetry: () => true,
  retryWait: (retries: number) => {
    // random, so that pages that lost their connections together do not reconnect together
    const wait = Math.min(1_000 * 2 ** retries, LONGEST) * (0.5 + Math.random());
    return new Promise<void>((resolve) => setTimeout(resolve, wait));
  },
};
