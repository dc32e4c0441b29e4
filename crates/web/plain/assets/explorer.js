import { api, ask, authorization, begin, end, say } from "./session.js";

const FIRST = `# The rates of the latest campaigns. A subscription runs until you stop it.
{
  campaigns(
    filter: { status: { eq: SENT } }
    orderBy: [{ field: SENT_AT, direction: DESC }]
    first: 5
  ) {
    totalCount
    nodes {
      name
      sentAt
      stats { sends delivered openRate clickRate bounceRate }
    }
  }
}
`;

const SCHEMA = `{
  __schema {
    types {
      name kind description
      fields { name description type { ...T } args { name type { ...T } } }
      inputFields { name description type { ...T } }
      enumValues { name description }
    }
  }
}
fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }`;

/** The number of a subscription's messages that stay on the page. */
const MAX_MESSAGES = 100;

const [query, variables, response, run, stop, search, schema] =
  ["query", "variables", "response", "run", "stop", "search", "schema"].map((id) =>
    document.getElementById(id),
  );
query.value = FIRST;
let socket = null;

run.addEventListener("click", () => execute().catch((error) => say(error.message)));
stop.addEventListener("click", () => socket?.close(1000));
addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) run.click();
});
search.addEventListener("input", () => {
  const wanted = search.value.toLowerCase();
  for (const type of schema.children) type.hidden = !type.textContent.toLowerCase().includes(wanted);
});

begin("explorer", async () => {
  const { data } = await ask(SCHEMA);
  const types = data?.__schema.types.filter(({ name }) => !name.startsWith("__")) ?? [];
  const roots = ["Query", "Mutation", "Subscription"];
  const place = ({ name }) => (roots.includes(name) ? roots.indexOf(name) : roots.length);
  types.sort((a, b) => place(a) - place(b) || a.name.localeCompare(b.name));
  schema.replaceChildren(...types.map(describe));
}, leave);

function leave() {
  socket?.close(1000);
  response.textContent = "";
}

async function execute() {
  say("");
  let values;
  try {
    values = JSON.parse(variables.value || "{}");
  } catch (error) {
    say(`The variables are not JSON: ${error.message}`);
    return;
  }
  if (/^\s*(#.*\n\s*)*subscription\b/.test(query.value)) {
    follow({ query: query.value, variables: values });
  } else {
    response.textContent = JSON.stringify(await ask(query.value, values), null, 2);
  }
}

function follow(payload) {
  socket?.close(1000);
  const url = new URL(api);
  url.protocol = url.protocol.replace("http", "ws");
  const own = new WebSocket(url, "graphql-transport-ws");
  socket = own;
  const heard = [];
  const send = (message) => own.send(JSON.stringify(message));
  const note = (text) => {
    heard.unshift(text);
    heard.length = Math.min(heard.length, MAX_MESSAGES);
    response.textContent = heard.join("\n\n");
  };
  stop.hidden = false;
  own.onopen = () => send({ type: "connection_init", payload: authorization() });
  own.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "connection_ack") {
      note("Subscribed. New messages appear here.");
      send({ id: "1", type: "subscribe", payload });
    } else if (message.type === "ping") {
      send({ type: "pong" });
    } else if (message.type === "complete") {
      own.close(1000);
    } else if (message.type === "next" || message.type === "error") {
      note(JSON.stringify(message.payload, null, 2));
      if (message.type === "error") own.close(1000);
    }
  };
  own.onclose = ({ code, reason }) => {
    if (socket !== own) return;
    stop.hidden = true;
    if (code === 4403) end("The token is not valid, or it has expired. Sign in with another one.");
    else if (code !== 1000) say(`The connection was closed: ${reason || code}`);
  };
}

function describe({ name, kind, description, fields, inputFields, enumValues }) {
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  summary.textContent = `${name} `;
  const of = document.createElement("small");
  of.textContent = kind.toLowerCase().replace("_", " ");
  summary.append(of);
  const list = document.createElement("dl");
  for (const member of fields ?? inputFields ?? enumValues ?? []) {
    const term = document.createElement("dt");
    const args = (member.args ?? []).map((arg) => `${arg.name}: ${written(arg.type)}`).join(", ");
    const type = member.type ? `: ${written(member.type)}` : "";
    term.textContent = member.name + (args && `(${args})`) + type;
    const text = document.createElement("dd");
    text.textContent = member.description ?? "";
    list.append(term, text);
  }
  const text = document.createElement("p");
  text.textContent = description ?? "";
  details.append(summary, text, list);
  return details;
}

function written({ kind, name, ofType }) {
  if (kind === "NON_NULL") return `${written(ofType)}!`;
  if (kind === "LIST") return `[${written(ofType)}]`;
  return name;
}
