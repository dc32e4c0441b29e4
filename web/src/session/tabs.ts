/**
 * Tabs of one browser share a session. A tab that has none asks the others and gets theirs; the token goes
 * over a BroadcastChannel, which browsers deliver to pages of the same origin only, and is stored nowhere
 * else. Signing out in one tab signs out all of them.
 *
 * A tab keeps the session that it has: only a renewal of the same token replaces it.
 */

import { endOf, forget, isRenewable, keep, token } from "./token";

/** A session, as one tab hands it to another. */
interface Shared {
  token: string;
  isRenewable: boolean;
  /** What the issuer's library keeps of the user, by its keys. */
  user: [string, string][];
}

type Message =
  | { kind: "ask" }
  | { kind: "answer"; session: Shared }
  | { kind: "renewed"; before: string; session: Shared }
  | { kind: "signed-out" };

/** How long a tab waits for an answer. */
const PATIENCE = 200;
/** The keys of the issuer's library. */
const USER = "oidc.user:";
const SIGNED_OUT = "You have signed out in another tab.";

const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("campaigns:session");
const tell = (message: Message) => channel?.postMessage(message);
let answered: (() => void) | null = null;

channel?.addEventListener("message", ({ data }: MessageEvent<Message>) => {
  switch (data.kind) {
    case "ask": {
      const session = own();
      if (session !== null) tell({ kind: "answer", session });
      break;
    }
    case "answer":
      if (token() === null) take(data.session);
      answered?.();
      break;
    case "renewed":
      if (token() === data.before) take(data.session);
      break;
    case "signed-out":
      if (token() === null) break;
      forget(SIGNED_OUT);
      for (const [key] of userEntries()) sessionStorage.removeItem(key);
      break;
  }
});

/** The session of this tab, unless there is none or it has ended. */
function own(): Shared | null {
  const kept = token();
  if (kept === null || endOf(kept) <= Date.now()) return null;
  return { token: kept, isRenewable: isRenewable(), user: userEntries() };
}

function userEntries(): [string, string][] {
  return Object.entries(sessionStorage).filter(([key]) => key.startsWith(USER)) as [string, string][];
}

function take({ token, isRenewable, user }: Shared): void {
  for (const [key, value] of user) if (key.startsWith(USER)) sessionStorage.setItem(key, value);
  keep(token, { isRenewable });
}

/** Gets the session of another tab, if this one has none. */
export async function adopt(): Promise<void> {
  if (channel === null || token() !== null) return;
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, PATIENCE);
    answered = () => {
      clearTimeout(timer);
      resolve();
    };
    tell({ kind: "ask" });
  });
  answered = null;
}

/** Hands the session of this tab to those that have none. */
export function share(): void {
  const session = own();
  if (session !== null) tell({ kind: "answer", session });
}

/** Hands a renewed token to the tabs that have the one before. */
function shareRenewed(before: string | null): void {
  const session = own();
  if (session !== null && before !== null) tell({ kind: "renewed", before, session });
}

/** Signs the other tabs out. */
export function signOthersOut(): void {
  tell({ kind: "signed-out" });
}

/**
 * Renews a token in one tab at a time: issuers take a refresh token once. `renew` is not called if another tab
 * has renewed it meanwhile.
 */
export async function renewAlone(renew: () => Promise<boolean>): Promise<boolean> {
  const before = token();
  const isDone = () => token() !== before && endOf(token()) > Date.now();
  const turn = async () => {
    // the renewed token of the tab that held the lock arrives after it has released the lock
    if (!isDone()) await new Promise((resolve) => setTimeout(resolve));
    if (isDone()) return true;
    const isRenewed = await renew();
    if (isRenewed) shareRenewed(before);
    return isRenewed;
  };
  // browsers lock on secure origins only
  return "locks" in navigator ? navigator.locks.request("campaigns:renew", turn) : turn();
}
