// The token of this tab: taken from the address or pasted, and kept until the tab ends.

const KEY = "campaigns:token";
const element = (id) => document.getElementById(id);

const fragment = new URLSearchParams(location.hash.slice(1));
if (fragment.has("token")) {
  sessionStorage.setItem(KEY, fragment.get("token"));
  history.replaceState(null, "", location.pathname + location.search);
}

/** The headers, or the payload of a socket, that say who asks. */
export const authorization = () => ({ Authorization: `Bearer ${sessionStorage.getItem(KEY)}` });

/** Shows a message to the reader. */
export function say(text) {
  element("notice").textContent = text;
}

/** Asks the API, and returns the response's JSON; a token that is refused ends the session. */
export async function ask(query, variables = {}) {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { "Content-Type": "application/json", ...authorization() },
    body: JSON.stringify({ query, variables }),
  });
  if (response.status === 401) end("The token is not valid, or it has expired. Sign in with another one.");
  return response.json();
}

let content;
let load;

/** Shows an element, once somebody is signed in, and loads what is in it. */
export function begin(id, loading) {
  content = element(id);
  load = loading;
  element("sign-out").addEventListener("click", () => end(""));
  element("sign-in").addEventListener("submit", (event) => {
    event.preventDefault();
    const token = element("token").value.trim().replace(/^bearer\s+/i, "");
    if (token === "") return;
    element("token").value = "";
    sessionStorage.setItem(KEY, token);
    show();
  });
  show();
}

/** Ends the session and says why. */
export function end(why) {
  sessionStorage.removeItem(KEY);
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
