/**
 * The token of this tab. It lives in sessionStorage, so that it ends with the tab, and never stays in
 * the address or the history.
 */

const KEY = "campaigns:token";
const RENEWABLE = "campaigns:renewable";
const ENDED = "campaigns:ended";

/** Takes the token out of the address (`#token=…`), where a printed link puts it. */
export function takeFromAddress(): void {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const token = fragment.get("token");
  if (token === null) return;
  keep(token);
  history.replaceState(null, "", location.pathname + location.search);
}

/** The token, or null where nobody is signed in. */
export function token(): string | null {
  return sessionStorage.getItem(KEY);
}

/** Keeps a token as people paste it, with or without `Bearer`, or one that its issuer renews. */
export function keep(text: string, { isRenewable = false } = {}): void {
  sessionStorage.setItem(KEY, text.trim().replace(/^bearer\s+/i, ""));
  if (isRenewable) sessionStorage.setItem(RENEWABLE, "yes");
  else sessionStorage.removeItem(RENEWABLE);
  sessionStorage.removeItem(ENDED);
}

/** Forgets the token, and keeps why for the sign-in page. */
export function forget(why: string | null): void {
  sessionStorage.removeItem(KEY);
  sessionStorage.removeItem(RENEWABLE);
  if (why !== null) sessionStorage.setItem(ENDED, why);
}

/** Why the last session ended, until somebody signs in again. */
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
