/**
 * Sign-in at an issuer of OpenID Connect, by the authorization code flow with PKCE. The issuer's
 * tokens live in sessionStorage as well, and a refresh token alone renews them: the page's policy
 * allows no frames.
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

/** The page that the issuer sends people back to. */
const BACK = `${base}${"sign-in" satisfies View}`;
/** How long before its end a token is renewed; a quarter of its life if that is shorter. */
const EARLY = 60_000;
/** How long after a failure it is tried again. */
const AGAIN = 10_000;
/** The longest time that a timer of browsers can be set to. */
const LONGEST_TIMER = 2 ** 31 - 1;

const issuer = named();

/** The issuer's host, where people can sign in at one. */
export const issuerName = issuer === null ? null : new URL(issuer.url).host;

function named(): Issuer | null {
  const text = document.querySelector<HTMLMetaElement>('meta[name="oidc-issuer"]')?.content ?? "";
  // the development server of Vite leaves the placeholder there
  return text.startsWith("{") ? (JSON.parse(text) as Issuer) : null;
}

let made: Promise<UserManager> | undefined;

/** The library, which only those load who sign in at an issuer. */
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
    redirect_uri: location.origin + BACK,
    post_logout_redirect_uri: location.origin + base,
    scope,
    userStore: store,
    stateStore: store,
    automaticSilentRenew: false,
    // RFC 8707 calls it resource, some issuers audience
    ...(resource !== null && {
      resource,
      extraQueryParams: { audience: resource },
      extraTokenParams: { resource },
    }),
  });
}

/** Leaves for the issuer. Rejects if it does not answer. */
export async function signIn(): Promise<void> {
  const state = location.pathname + location.search;
  await (await manager()).signinRedirect({ state });
}

/** Whether the issuer has sent the reader back here, as far as the address tells. */
export const isBack = issuer !== null && location.pathname === BACK;

/**
 * Takes the issuer's answer out of the address and goes to the page that the reader came from. The library accepts an
 * answer only to a question that this tab asked; any other one, which a link may bring, leaves the session as it is.
 */
export async function comeBack(): Promise<void> {
  let to = new URL(base, location.origin);
  try {
    const user = await (await manager()).signinRedirectCallback();
    const asked = typeof user.state === "string" ? new URL(user.state, location.origin) : to;
    if (asked.origin === location.origin) to = asked;
    take(user);
    share();
  } catch (error) {
    if (token() === null) forget(`You could not be signed in: ${(error as Error).message}`);
  }
  location.replace(to);
}

/** Keeps the access token, or the ID token where the issuer's access tokens are for itself alone. */
function take({ access_token, id_token, refresh_token }: User): void {
  const isReadable = access_token.split(".").length === 3;
  const kept = isReadable ? access_token : (id_token ?? access_token);
  keep(kept, { isRenewable: refresh_token !== undefined });
}

let renewal: Promise<boolean> | null = null;

/** Has the token renewed, once for all who ask at the same time; false if the issuer does not. */
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
    // the reader has signed out meanwhile
    if (!isRenewable() || user === null) return false;
    take(user);
    return endOf(token()) > Date.now();
  } catch {
    return false;
  }
}

/** Renews the token, if that can be done, once it has ended: a computer that slept missed its time. */
export async function renewIfEnded(): Promise<void> {
  if (hasEnded(token())) await renew();
}

/** Whether a token has ended that its issuer may renew. */
export function hasEnded(token: string | null): boolean {
  return isRenewable() && endOf(token) <= Date.now();
}

/**
 * Renews the token each time before it ends, and says when it has, until the function that is
 * returned is called. A token that cannot be renewed ends by itself.
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
      timer = setTimeout(() => void act(), AGAIN);
    }
  };
  if (isRenewable()) wait();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
}

/** Forgets what the issuer gave to this tab, whose session another one replaced. */
export async function forgetUser(): Promise<void> {
  if (issuer !== null) await (await manager()).removeUser();
}

/** Signs out here, and at the issuer if the reader signed in there and it lets people sign out. */
export async function signOut(why: string | null): Promise<void> {
  forget(why);
  if (why === null) signOthersOut();
  if (issuer === null) return;
  const users = await manager();
  if ((await users.getUser()) === null) return;
  try {
    const { end_session_endpoint } = await users.metadataService.getMetadata();
    // who was signed out here may be signed in there for other pages
    if (why === null && end_session_endpoint !== undefined) await users.signoutRedirect();
  } finally {
    await users.removeUser();
  }
}

