/**
 * Sign-in at an OpenID Connect issuer, by the authorization code flow with PKCE. The issuer's tokens
 * are stored in sessionStorage as well. Only a refresh token renews them: the page's content security
 * policy allows no frames.
 */

import type { User, UserManager } from "oidc-client-ts";
import { base } from "../base";
import type { View } from "../views";
import { renewAlone, share, signOthersOut } from "./tabs";
import { endOf, forget, isRenewable, keep, token } from "./token";

interface Issuer {
  url: string;
  clientId: string;
  scope: string;
  resource: string | null;
}

/** The path that the issuer redirects back to. */
const CALLBACK = `${base}${"sign-in" satisfies View}`;
/** How long before its expiration a token is renewed, or a quarter of its lifetime if that is shorter. */
const EARLY = 60_000;
/** The pause after a failed renewal. */
const RETRY = 10_000;
/** The longest delay of a browser timer. */
const LONGEST_TIMER = 2 ** 31 - 1;

const issuer = named();

/** The issuer's host, or null without an issuer. */
export const issuerName = issuer === null ? null : new URL(issuer.url).host;

function named(): Issuer | null {
  const text = document.querySelector<HTMLMetaElement>('meta[name="oidc-issuer"]')?.content ?? "";
  // Vite's development server does not replace the placeholder
  return text.startsWith("{") ? (JSON.parse(text) as Issuer) : null;
}

let made: Promise<UserManager> | undefined;

/** The user manager. The library is loaded only for sign-in at an issuer. */
async function manager(): Promise<UserManager> {
  return (made ??= make());
}

async function make(): Promise<UserManager> {
  if (issuer === null) throw new Error("The service has no issuer to sign in at.");
  const { UserManager, WebStorageStateStore } = await import("oidc-client-ts");
  const { url, clientId, scope, resource } = issuer;
  const store = new WebStorageStateStore({ store: sessionStorage });
  return new UserManager({
    authority: url,
    client_id: clientId,
    redirect_uri: location.origin + CALLBACK,
    post_logout_redirect_uri: location.origin + base,
    scope,
    userStore: store,
    stateStore: store,
    automaticSilentRenew: false,
    // RFC 8707 names this parameter resource, and some issuers audience
    ...(resource !== null && {
      resource,
      extraQueryParams: { audience: resource },
      extraTokenParams: { resource },
    }),
  });
}

/** Redirects to the issuer. Rejects if the issuer does not respond. */
export async function signIn(): Promise<void> {
  const state = location.pathname + location.search;
  await (await manager()).signinRedirect({ state });
}

/** Whether this page is the redirect from the issuer, according to its path. */
export const isCallback = issuer !== null && location.pathname === CALLBACK;

/**
 * Completes the sign-in with the issuer's response in the address, and returns to the page where it started. The
 * library accepts only a response to a request of this tab. Any other response, such as from a link, does not change
 * the session.
 */
export async function completeSignIn(): Promise<void> {
  let to = new URL(base, location.origin);
  try {
    const user = await (await manager()).signinRedirectCallback();
    const asked = typeof user.state === "string" ? new URL(user.state, location.origin) : to;
    if (asked.origin === location.origin) to = asked;
    take(user);
    share();
  } catch (error) {
    if (token() === null) forget(`Sign-in failed: ${(error as Error).message}`);
  }
  location.replace(to);
}

/** Stores the access token, or the ID token if the issuer's access tokens are opaque. */
function take({ access_token, id_token, refresh_token }: User): void {
  const isReadable = access_token.split(".").length === 3;
  const kept = isReadable ? access_token : (id_token ?? access_token);
  keep(kept, { isRenewable: refresh_token !== undefined });
}

let renewal: Promise<boolean> | null = null;

/** Renews the token, once for concurrent calls. Resolves to false if the issuer does not renew it. */
export function renew(): Promise<boolean> {
  renewal ??= renewNow().finally(() => {
    renewal = null;
  });
  return renewal;
}

async function renewNow(): Promise<boolean> {
  return isRenewable() && renewAlone(renewHere);
}

async function renewHere(): Promise<boolean> {
  try {
    const user = await (await manager()).signinSilent({ resource: issuer?.resource ?? undefined });
    // the user has signed out meanwhile
    if (!isRenewable() || user === null) return false;
    take(user);
    return endOf(token()) > Date.now();
  } catch {
    return false;
  }
}

/** Renews an expired token, if possible: a suspended computer misses the timer. */
export async function renewIfEnded(): Promise<void> {
  if (hasEnded(token())) await renew();
}

/** Whether a renewable token has expired. */
export function hasEnded(token: string | null): boolean {
  return isRenewable() && endOf(token) <= Date.now();
}

/**
 * Renews the token each time before it expires, and calls `onRenewed`, until the returned function is
 * called. Does nothing for a token that cannot be renewed.
 */
export function keepRenewed(onRenewed: () => void): () => void {
  let timer: ReturnType<typeof setTimeout>;
  let isOver = false;
  const wait = () => {
    const left = endOf(token()) - Date.now();
    const early = Math.max(left - EARLY, (left * 3) / 4, 0);
    timer = setTimeout(() => void (early > LONGEST_TIMER ? wait() : act()), Math.min(early, LONGEST_TIMER));
  };
  const act = async () => {
    const isRenewed = await renew();
    if (isOver || !isRenewable()) return;
    if (isRenewed) {
      onRenewed();
      wait();
    } else if (endOf(token()) > Date.now()) {
      timer = setTimeout(() => void act(), RETRY);
    }
  };
  if (isRenewable()) wait();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

/** Removes the issuer's tokens from this tab, because another session replaces its session. */
export async function forgetUser(): Promise<void> {
  if (issuer !== null) await (await manager()).removeUser();
}

/** Signs out here, and also at the issuer if the user signed in there and the issuer supports sign-out. */
export async function signOut(why: string | null): Promise<void> {
  forget(why);
  if (why === null) signOthersOut();
  if (issuer === null) return;
  const users = await manager();
  if ((await users.getUser()) === null) return;
  try {
    const { end_session_endpoint } = await users.metadataService.getMetadata();
    // a session that ended for a reason stays open at the issuer, for other sites
    if (why === null && end_session_endpoint !== undefined) await users.signoutRedirect();
  } finally {
    await users.removeUser();
  }
}

