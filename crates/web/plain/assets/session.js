// The token of this tab: pasted, taken from the address where the service allows that, or handed over by another tab, and
// kept until the tab ends.

const KEY = "campaigns:token";
const IGNORED = "This service does not accept tokens in links. Paste the token instead.";
const element = (id) => document.getElementById(id);
const bare = (text) => text.trim().replace(/^bearer\s+/i, "");

/** Whether links with `#token=…` sign people in. Anyone can make one, so it replaces no session without a question. */
const areTaken = document.querySelector('meta[name="token-links"]').content === "on";

/** What the sign-in form says at first. */
let why = "";

/** Tabs of one browser share a session. What is said here reaches pages of this origin only. */
const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("campaigns:session");
/** How long a tab waits for the session of another one, and the token of a link that the reader has accepted. */
const PATIENCE = 200;
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

/** Hands the session of this tab to those that have none. */
function share() {
  const token = sessionStorage.getItem(KEY);
  if (token !== null) channel?.postMessage({ kind: "answer", session: { token, isRenewable: false, user: [] } });
}

/** Gets the session of another tab, if this one has none. */
async function adopt() {
  if (channel === null || sessionStorage.getItem(KEY) !== null) return;
  await new Promise((resolve) => {
    answered = resolve;
    setTimeout(resolve, PATIENCE);
    channel.postMessage({ kind: "ask" });
  });
}

/** Takes a token out of the address. */
function takeFromAddress() {
  const found = new URLSearchParams(location.hash.slice(1)).get("token");
  if (found !== null) history.replaceState(null, "", location.pathname + location.search);
  return found;
}

/** Signs in with the token of a link, where there is no session. */
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
    say(`The session of this link could not be looked up: ${error.message}`);
  });
  if (found === undefined) return;
  const [mine, theirs] = found;
  const replace = () => {
    sessionStorage.removeItem(KEY);
    sessionStorage.setItem(ACCEPTED, then);
    // nothing of the session before is left on the page, and what is still under way ends no other one
    history.replaceState(null, "", `#${new URLSearchParams({ token: then })}`);
    location.reload();
  };
  if (theirs === null) return say("The token in this link is not valid, or it has expired. You are still signed in.");
  // a session that has ended is none
  if (mine === null) return replace();
  text.textContent =
    "You are already signed in, and this link has another session. If you do not know where the link comes from, stay signed in.";
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

/** What the service says of the holder of a token; null if it refuses the token. */
async function holder(token) {
  const response = await post("{ viewer { subject organization { name } } }", {}, token);
  if (response.status === 401) return null;
  const { data, errors } = await response.json();
  if (!data) throw new Error(errors[0].message);
  return data.viewer;
}

/** The headers, or the payload of a socket, that say who asks. */
export const authorization = () => ({ Authorization: `Bearer ${sessionStorage.getItem(KEY)}` });

/** Shows a message to the reader. */
export function say(text) {
  element("notice").textContent = text;
}

/** The API, which is beside the folder of this file. */
export const api = new URL("../graphql", import.meta.url);

const post = (query, variables, token) =>
  fetch(api, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
    body: JSON.stringify({ query, variables }),
  });

/** Asks the API, and returns the response's JSON; a token that is refused ends the session. */
export async function ask(query, variables = {}) {
  const response = await post(query, variables, sessionStorage.getItem(KEY));
  if (response.status === 401) end("The token is not valid, or it has expired. Sign in with another one.");
  return response.json();
}

let isShown = false;
let content;
let load;
let leave;

/** Shows an element, once the reader is signed in, and loads what is in it, until the session ends. */
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

/** Ends the session and says why. */
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
  if (isSignedIn) load().catch((error) => say(`The service does not answer: ${error.message}`));
  else element("token").focus();
}

const linked = takeFromAddress();
const isAccepted = linked !== null && sessionStorage.getItem(ACCEPTED) === linked;
sessionStorage.removeItem(ACCEPTED);
/** The session that the page begins with: the reader's own goes before that of a link. */
const first = (isAccepted ? Promise.resolve() : adopt()).then(() => linked !== null && takeFromLink(linked));
// a link that is followed within the page loads no other one
addEventListener("hashchange", () => {
  const wasSignedIn = sessionStorage.getItem(KEY) !== null;
  const found = takeFromAddress();
  if (found !== null) takeFromLink(found);
  if (wasSignedIn || found === null) return;
  show();
  say(why);
});
