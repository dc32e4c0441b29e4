/**
 * Tokens in links (`#token=…`), which the service prints in development mode. Anyone can create such a link for a
 * session of their own, so it replaces a session only with the user's consent. In production, tokens in links are
 * ignored unless the operator turns them on.
 */

import { api } from "../base";
import { forgetUser, renewIfEnded } from "./issuer";
import { adopt, share } from "./tabs";
import { bare, forget, keep, token } from "./token";

/** The holder of a token. */
export type Holder = { subject: string; organization: { name: string }; user: { fullName: string | null } | null };

/** The offer of a link to a user who is signed in with another token. */
export type Offer =
  | { state: "question"; now: Holder; then: Holder }
  | { state: "refused" }
  | { state: "failed"; why: string };

const IGNORED = "This service does not accept tokens in links. Paste the token instead.";

/** Whether tokens in links are accepted. Vite's development server does not replace the placeholder. */
const areTaken = ["on", "TOKEN_LINKS"].includes(
  document.querySelector<HTMLMetaElement>('meta[name="token-links"]')?.content ?? "",
);

/** The key of the accepted link's token, until the page is reloaded with it. */
const ACCEPTED = "campaigns:accepted";

let offered: string | null = null;
let shown: Offer | null = null;
const listeners = new Set<() => void>();

/** The current offer, for `useSyncExternalStore`. */
export const offer = {
  get: (): Offer | null => shown,
  subscribe: (listener: () => void) => {
    listeners.add(listener);
    return () => void listeners.delete(listener);
  },
};

function show(next: Offer | null): void {
  shown = next;
  for (const listener of listeners) listener();
}

/**
 * Removes the token from the address at once, adopts the session of another tab if there is one, and then uses the
 * token. Runs before the page is drawn, and whenever a link changes only the fragment.
 */
export async function watchAddress(): Promise<void> {
  const found = takeFromAddress();
  const isAccepted = found !== null && sessionStorage.getItem(ACCEPTED) === found;
  sessionStorage.removeItem(ACCEPTED);
  // after an accepted link, the session of another tab is the one that the user has just left
  if (!isAccepted) await adopt();
  if (found !== null) takeFromLink(found);
  addEventListener("hashchange", () => {
    const found = takeFromAddress();
    if (found !== null && takeFromLink(found)) location.reload();
  });
}

/** Removes the token from the address and returns it. */
function takeFromAddress(): string | null {
  const found = new URLSearchParams(location.hash.slice(1)).get("token");
  if (found !== null) history.replaceState(history.state, "", location.pathname + location.search);
  return found;
}

/** Uses the token of a link. Returns whether the page has to be reloaded. */
function takeFromLink(found: string): boolean {
  const then = bare(found);
  if (token() === null) {
    if (areTaken) {
      keep(then);
      share();
    } else {
      forget(IGNORED);
    }
    return true;
  }
  if (areTaken && token() !== then) void ask(then);
  return false;
}

/** Looks up the session of a link for the offer. The user stays signed in meanwhile. */
async function ask(then: string): Promise<void> {
  offered = then;
  let found: Offer | null;
  try {
    await renewIfEnded();
    const [mine, theirs] = await Promise.all([holder(token()), holder(then)]);
    if (theirs === null) found = { state: "refused" };
    // if the current session has expired, there is no question to ask
    else found = mine && { state: "question", now: mine, then: theirs };
  } catch (error) {
    found = { state: "failed", why: (error as Error).message };
  }
  // another link was followed meanwhile
  if (offered !== then) return;
  if (found === null) await accept();
  else show(found);
}

/** Replaces the session with that of the link. */
export async function accept(): Promise<void> {
  if (offered === null) return;
  forget(null);
  await forgetUser();
  // the reload removes the old session from the page, and cancels its pending requests
  sessionStorage.setItem(ACCEPTED, offered);
  history.replaceState(null, "", `#${new URLSearchParams({ token: offered })}`);
  location.reload();
}

/** Keeps the current session. */
export function decline(): void {
  offered = null;
  show(null);
}

/** Repeats the look-up. */
export function retry(): void {
  show(null);
  if (offered !== null) void ask(offered);
}

/** The holder of a token, or null if the service refuses the token. */
async function holder(token: string | null): Promise<Holder | null> {
  if (token === null) return null;
  const response = await fetch(api, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
    body: JSON.stringify({ query: "{ viewer { subject organization { name } user { fullName } } }" }),
  });
  if (response.status === 401) return null;
  const { data, errors } = (await response.json()) as { data?: { viewer: Holder }; errors?: { message: string }[] };
  if (!data) throw new Error(errors?.[0]?.message ?? "The service is not responding.");
  return data.viewer;
}
