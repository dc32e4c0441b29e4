// The token of this tab: pasted, from a link if the service accepts that, or from another tab. It is stored until the
// tab is closed.

const KEY = "campaigns:token";
const IGNORED = "This service does not accept tokens in links. Paste the token instead.";
const element = (id) => document.getElementById(id);
const bare = (text) => text.trim().replace(/^bearer\s+/i, "");

/** Whether tokens in links (`#token=…`) are accepted. Anyone can create a link, so it replaces a session only with consent. */
const areTaken = document.querySelector('meta[name="token-links"]').content === "on";

/** The initial message of the sign-in form. */
let why = "";

/** The channel by which tabs of one browser share a session. It reaches only pages of this origin. */
const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("campaigns:session");
/** How long a tab waits for the session of another one, in milliseconds. */
const PATIENCE = 200;
/** The key of an accepted link's token, until the page is reloaded with it. */
const ACCEPTED = "campaigns:accepted";
let answered = () => {};

channel?.addEventListener("message", ({ data }) => {
  const now = sessionStorage.getItem(KEY);
  if (data.kind === "ask") share();
  if (data.kind === "answer") {
    if (now === null) {
      sessionStorage.setItem(KEY, data.session.token);
      if (isShown) show();
    }
    answered();
  }
  if (data.kind === "renewed" && now === data.before) sessionStorage.setItem(KEY, data.session.token);
  if (data.kind === "signed-out" && now !== null) end("You have signed out in another tab.");
});

/** Sends the session of this tab to tabs without a session. */
function share() {
  const token = sessionStorage.getItem(KEY);
  if (token !== null) channel?.postMessage({ kind: "answer", session: { token, isRenewable: false, user: [] } });
}

/** Adopts the session of another tab, if this tab has none. */
async function adopt() {
  if (channel === null || sessionStorage.getItem(KEY) !== null) return;
  await new Promise((resolve) => {
    answered = resolve;
    setTimeout(resolve, PATIENCE);
    channel.postMessage({ kind: "ask" });
  });
}

/** Removes the token from the address and returns it. */
function takeFromAddress() {
  const found = new URLSearchParams(location.hash.slice(1)).get("token");
  if (found !== null) history.replaceState(null, "", location.pathname + location.search);
  return found;
}

/** Signs in with the token of a link. If there is already a session, asks first. */
function takeFromLink(found) {
  const [now, then] = [sessionStorage.getItem(KEY), bare(found)];
  if (now === null && areTaken) {
    sessionStorage.setItem(KEY, then);
    share();
  }
  else if (now === null) why = IGNORED;
  else if (now !== then && areTaken) offer(now, then);
}

/** Asks before a link replaces the session. */
async function offer(now, then) {
  const dialog = element("replace");
  const [text, sessions, accept] = ["replace-text", "replace-sessions", "replace-accept"].map(element);
  const found = await Promise.all([holder(now), holder(then)]).catch((error) => {
    say(`Could not look up the session of this link: ${error.message}`);
  });
  if (found === undefined) return;
  const [mine, theirs] = found;
  const replace = () => {
    sessionStorage.removeItem(KEY);
    sessionStorage.setItem(ACCEPTED, then);
    // the reload removes the old session from the page, and cancels its pending requests
    history.replaceState(null, "", `#${new URLSearchParams({ token: then })}`);
    location.reload();
  };
  if (theirs === null) return say("The token in this link is not valid, or it has expired. You are still signed in.");
  // an expired session is replaced without a question
  if (mine === null) return replace();
  text.textContent =
    "You are already signed in, and this link contains a different session. If you do not know where the link comes from, stay signed in.";
  const lines = [["Your session", mine], ["The session of the link", theirs]].flatMap(([name, { organization, subject }]) => {
    const [term, description] = ["dt", "dd"].map((tag) => document.createElement(tag));
    term.textContent = name;
    description.textContent = `${organization.name}, ${subject}`;
    return [term, description];
  });
  sessions.replaceChildren(...lines);
  accept.onclick = replace;
  if (!dialog.open) dialog.showModal();
}

/** The holder of a token, or null if the service refuses the token. */
async function holder(token) {
  const response = await post("{ viewer { subject organization { name } } }", {}, token);
  if (response.status === 401) return null;
  const { data, errors } = await response.json();
  if (!data) throw new Error(errors[0].message);
  return data.viewer;
}

/** The authorization of a request, as headers or as the payload of a WebSocket. */
export const authorization = () => ({ Authorization: `Bearer ${sessionStorage.getItem(KEY)}` });

/** Shows a message. */
export function say(text) {
  element("notice").textContent = text;
}

/** The URL of the API, relative to this file. */
export const api = new URL("../graphql", import.meta.url);

const post = (query, variables, token) =>
  fetch(api, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
    body: JSON.stringify({ query, variables }),
  });

/** Sends an operation to the API and returns the response's JSON. If the token is refused, ends the session. */
export async function ask(query, variables = {}) {
  const response = await post(query, variables, sessionStorage.getItem(KEY));
  if (response.status === 401) end("The token is not valid, or it has expired. Sign in with another one.");
  return response.json();
}

let isShown = false;
let content;
let load;
let leave;

/** Shows an element and loads its content while the user is signed in. */
export function begin(id, loading, leaving) {
  content = element(id);
  load = loading;
  leave = leaving;
  element("sign-out").addEventListener("click", () => {
    channel?.postMessage({ kind: "signed-out" });
    end("");
  });
  element("sign-in").addEventListener("submit", (event) => {
    event.preventDefault();
    const token = bare(element("token").value);
    if (token === "") return;
    element("token").value = "";
    sessionStorage.setItem(KEY, token);
    share();
    show();
  });
  element("replace-decline").addEventListener("click", () => element("replace").close());
  void first.then(() => {
    isShown = true;
    show();
    say(why);
  });
}

/** Ends the session and shows the reason. */
export function end(why) {
  sessionStorage.removeItem(KEY);
  leave();
  show();
  say(why);
}

function show() {
  const isSignedIn = sessionStorage.getItem(KEY) !== null;
  element("sign-in").hidden = isSignedIn;
  element("sign-out").hidden = !isSignedIn;
  content.hidden = !isSignedIn;
  say("");
  if (isSignedIn) load().catch((error) => say(`The service is not responding: ${error.message}`));
  else element("token").focus();
}

const linked = takeFromAddress();
const isAccepted = linked !== null && sessionStorage.getItem(ACCEPTED) === linked;
sessionStorage.removeItem(ACCEPTED);
/** Resolves when the initial session is known. An existing session takes precedence over that of a link. */
const first = (isAccepted ? Promise.resolve() : adopt()).then(() => linked !== null && takeFromLink(linked));
// following a link within the page does not reload it
addEventListener("hashchange", () => {
  const wasSignedIn = sessionStorage.getItem(KEY) !== null;
  const found = takeFromAddress();
  if (found !== null) takeFromLink(found);
  if (wasSignedIn || found === null) return;
  show();
  say(why);
});
