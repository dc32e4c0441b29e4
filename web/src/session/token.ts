/**
 * The token of this tab. It lives in sessionStorage, so that it ends with the last tab that has it: a tab
 * that is opened gets it from another one (`tabs.ts`).
 */

const KEY = "campaigns:token";
const RENEWABLE = "campaigns:renewable";
const ENDED = "campaigns:ended";

/** The token, or null if no one is signed in. */
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

/** A token as people paste it, without `Bearer` and spaces. */
export function bare(text: string): string {
  return text.trim().replace(/^bearer\s+/i, "");
}

/** Keeps a token as it was pasted, or one that its issuer renews. */
export function keep(text: string, { isRenewable = false } = {}): void {
  sessionStorage.setItem(KEY, bare(text));
  if (isRenewable) sessionStorage.setItem(RENEWABLE, "yes");
  else sessionStorage.removeItem(RENEWABLE);
  sessionStorage.removeItem(ENDED);
  changed();
}

/** Forgets the token, and keeps why for the sign-in page. */
export function forget(why: string | null): void {
  sessionStorage.removeItem(KEY);
  sessionStorage.removeItem(RENEWABLE);
  if (why !== null) sessionStorage.setItem(ENDED, why);
  changed();
}

/** Why the last session ended, until the next sign-in. */
export function endedBecause(): string | null {
  return sessionStorage.getItem(ENDED);
}

/** Whether the token's issuer gives out the next one without asking the person. */
export function isRenewable(): boolean {
  return sessionStorage.getItem(RENEWABLE) !== null;
}

/** The headers of a request. */
export function authorization(): Record<string, string> {
  const kept = token();
  return kept === null ? {} : { Authorization: `Bearer ${kept}` };
}

/** When a token ends, in milliseconds; never, as far as a page can tell, if it cannot be read. */
export function endOf(token: string | null): number {
  try {
    const payload = token?.split(".")[1]?.replaceAll("-", "+").replaceAll("_", "/");
    const { exp } = JSON.parse(atob(payload ?? "")) as { exp?: unknown };
    return typeof exp === "number" ? exp * 1_000 : Infinity;
  } catch {
    return Infinity;
  }
}
