/**
 * Tabs of one browser share a session. A tab without a session requests it from the others. The token is
 * sent over a BroadcastChannel, which browsers deliver only to pages of the same origin, and is not stored
 * elsewhere. Signing out in one tab signs out all tabs.
 *
 * A tab keeps its session: only a renewal of the same token replaces it.
 */

import { endOf, forget, isRenewable, keep, token } from "./token";

/** A session in a message between tabs. */
interface Shared {
  token: string;
  isRenewable: boolean;
  /** The storage entries of the issuer's library: key and value. */
  user: [string, string][];
}

type Message =
  | { kind: "ask" }
  | { kind: "answer"; session: Shared }
  | { kind: "renewed"; before: string; session: Shared }
  | { kind: "signed-out" };

/** How long a tab waits for an answer. */
const PATIENCE = 200;
/** The prefix of the storage keys of the issuer's library. */
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

/** The session of this tab, or null if there is none or it has expired. */
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

/** Adopts the session of another tab, if this tab has none. */
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

/** Sends the session of this tab to tabs without a session. */
export function share(): void {
  const session = own();
  if (session !== null) tell({ kind: "answer", session });
}

/** Sends a renewed token to the tabs with the previous one. */
function shareRenewed(before: string | null): void {
  const session = own();
  if (session !== null && before !== null) tell({ kind: "renewed", before, session });
}

/** Signs the other tabs out. */
export function signOthersOut(): void {
  tell({ kind: "signed-out" });
}

/**
 * Renews a token in one tab at a time, since issuers accept a refresh token once. `renew` is not called if another
 * tab has renewed the token meanwhile.
 */
export async function renewAlone(renew: () => Promise<boolean>): Promise<boolean> {
  const before = token();
  const isDone = () => token() !== before && endOf(token()) > Date.now();
  const turn = async () => {
    // the renewed token arrives after the other tab has released the lock
    if (!isDone()) await new Promise((resolve) => setTimeout(resolve));
    if (isDone()) return true;
    const isRenewed = await renew();
    if (isRenewed) shareRenewed(before);
    return isRenewed;
  };
  // browsers provide locks only on secure origins
  return "locks" in navigator ? navigator.locks.request("campaigns:renew", turn) : turn();
}
