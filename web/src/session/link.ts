/**
 * Tokens in addresses (`#token=…`), as the links have that the service prints in development mode. Anyone can make such
 * a link, for a session of their own, so it replaces no session without the reader's consent. In production the service
 * takes no token from a link, unless its operator turned that on.
 */

import { api } from "../base";
import { forgetUser, renewIfEnded } from "./issuer";
import { adopt, share } from "./tabs";
import { bare, forget, keep, token } from "./token";

/** The holder of a token. */
export type Holder = { subject: string; organization: { name: string }; user: { fullName: string | null } | null };

/** What a link offers to a reader who is signed in with another token. */
export type Offer =
  | { state: "question"; now: Holder; then: Holder }
  | { state: "refused" }
  | { state: "failed"; why: string };

const IGNORED = "This service does not accept tokens in links. Paste the token instead.";

/** Whether links sign people in. Vite's development server leaves the placeholder there. */
const areTaken = ["on", "TOKEN_LINKS"].includes(
  document.querySelector<HTMLMetaElement>('meta[name="token-links"]')?.content ?? "",
);

/** The token of a link that the reader has accepted, until the page is loaded with it. */
const ACCEPTED = "campaigns:accepted";

let offered: string | null = null;
let shown: Offer | null = null;
const listeners = new Set<() => void>();

/** What a link offers, for `useSyncExternalStore`. */
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
 * Takes the token out of the address at once, and then, as another tab may have a session, out of the link: before the
 * page is drawn, and whenever a link changes only the fragment.
 */
export async function watchAddress(): Promise<void> {
  const found = takeFromAddress();
  const isAccepted = found !== null && sessionStorage.getItem(ACCEPTED) === found;
  sessionStorage.removeItem(ACCEPTED);
  // the session of another tab is the one that the reader has just left here
  if (!isAccepted) await adopt();
  if (found !== null) takeFromLink(found);
  addEventListener("hashchange", () => {
    const found = takeFromAddress();
    if (found !== null && takeFromLink(found)) location.reload();
  });
}

/** The token of the address, which is without it from then on. */
function takeFromAddress(): string | null {
  const found = new URLSearchParams(location.hash.slice(1)).get("token");
  if (found !== null) history.replaceState(history.state, "", location.pathname + location.search);
  return found;
}

/** Returns whether the page has to be drawn anew. */
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

/** Looks up what the link would change. The reader stays signed in meanwhile. */
async function ask(then: string): Promise<void> {
  offered = then;
  let found: Offer | null;
  try {
    await renewIfEnded();
    const [mine, theirs] = await Promise.all([holder(token()), holder(then)]);
    if (theirs === null) found = { state: "refused" };
    // a session that has ended is none
    else found = mine && { state: "question", now: mine, then: theirs };
  } catch (error) {
    found = { state: "failed", why: (error as Error).message };
  }
  // another link was followed meanwhile
  if (offered !== then) return;
  if (found === null) await accept();
  else show(found);
}

/** Replaces the session by the one that the link offers. */
export async function accept(): Promise<void> {
  if (offered === null) return;
  forget(null);
  await forgetUser();
  // nothing of the session before is left on the page, and what is still under way ends no other one
  sessionStorage.setItem(ACCEPTED, offered);
  history.replaceState(null, "", `#${new URLSearchParams({ token: offered })}`);
  location.reload();
}

/** Stays signed in as before. */
export function decline(): void {
  offered = null;
  show(null);
}

/** Looks it up again. */
export function retry(): void {
  show(null);
  if (offered !== null) void ask(offered);
}

/** What the service says of the holder of a token; null if it refuses the token. */
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
