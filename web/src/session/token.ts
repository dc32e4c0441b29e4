/**
 * The token of this tab. It is stored in sessionStorage, so that it disappears with the last tab. A new tab
 * gets it from another one (`tabs.ts`).
 */

const KEY = "campaigns:token";
const RENEWABLE = "campaigns:renewable";
const ENDED = "campaigns:ended";

/** The token, or null if the user is not signed in. */
export function token(): string | null {
  return sessionStorage.getItem(KEY);
}

const listeners = new Set<() => void>();

/** The token, for `useSyncExternalStore`. */
export const tokenStore = {
  get: token,
  subscribe: (listener: () => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  },
};

function changed(): void {
  for (const listener of listeners) listener();
}

/** A pasted token without `Bearer` and spaces. */
export function bare(text: string): string {
  return text.trim().replace(/^bearer\s+/i, "");
}

/** Stores a token. */
export function keep(text: string, { isRenewable = false } = {}): void {
  sessionStorage.setItem(KEY, bare(text));
  if (isRenewable) sessionStorage.setItem(RENEWABLE, "yes");
  else sessionStorage.removeItem(RENEWABLE);
  sessionStorage.removeItem(ENDED);
  changed();
}

/** Removes the token, and stores the reason for the sign-in page. */
export function forget(why: string | null): void {
  sessionStorage.removeItem(KEY);
  sessionStorage.removeItem(RENEWABLE);
  if (why !== null) sessionStorage.setItem(ENDED, why);
  changed();
}

/** The reason why the last session ended, until the next sign-in. */
export function endedBecause(): string | null {
  return sessionStorage.getItem(ENDED);
}

/** Whether the issuer can renew the token without the user. */
export function isRenewable(): boolean {
  return sessionStorage.getItem(RENEWABLE) !== null;
}

/** The headers of a request. */
export function authorization(): Record<string, string> {
  const kept = token();
  return kept === null ? {} : { Authorization: `Bearer ${kept}` };
}

/** The expiration time of a token, in milliseconds since the epoch. `Infinity` if the token cannot be read. */
export function endOf(token: string | null): number {
  try {
    const payload = token?.split(".")[1]?.replaceAll("-", "+").replaceAll("_", "/");
    const { exp } = JSON.parse(atob(payload ?? "")) as { exp?: unknown };
    return typeof exp === "number" ? exp * 1_000 : Infinity;
  } catch {
    return Infinity;
  }
}
