// The token of this tab: pasted, or taken from the address where the service allows that, and kept until the tab ends.

const KEY = "campaigns:token";
const IGNORED = "This service does not accept tokens in links. Paste the token instead.";
const element = (id) => document.getElementById(id);
const bare = (text) => text.trim().replace(/^bearer\s+/i, "");

/** Whether links with `#token=…` sign people in. Anyone can make one, so it replaces no session without a question. */
const areTaken = document.querySelector('meta[name="token-links"]').content === "on";

/** What the sign-in form says at first. */
let why = "";

/** Takes a token out of the address. */
function takeFromAddress() {
  const found = new URLSearchParams(location.hash.slice(1)).get("token");
  if (found === null) return;
  history.replaceState(null, "", location.pathname + location.search);
  const [now, then] = [sessionStorage.getItem(KEY), bare(found)];
  if (now === null && areTaken) sessionStorage.setItem(KEY, then);
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

let content;
let load;
let leave;

/** Shows an element, once the reader is signed in, and loads what is in it, until the session ends. */
export function begin(id, loading, leaving = () => {}) {
  content = element(id);
  load = loading;
  leave = leaving;
  element("sign-out").addEventListener("click", () => end(""));
  element("sign-in").addEventListener("submit", (event) => {
    event.preventDefault();
    const token = bare(element("token").value);
    if (token === "") return;
    element("token").value = "";
    sessionStorage.setItem(KEY, token);
    show();
  });
  element("replace-decline").addEventListener("click", () => element("replace").close());
  show();
  say(why);
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

takeFromAddress();
// a link that is followed within the page loads no other one
addEventListener("hashchange", () => {
  const wasSignedIn = sessionStorage.getItem(KEY) !== null;
  takeFromAddress();
  if (wasSignedIn) return;
  show();
  say(why);
});
