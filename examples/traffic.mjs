// Creates traffic for the feed: opens, clicks, and now and then an unsubscribe or a soft bounce, for
// delivered sends picked at random. RATE is in events per second; the default is 5.
//
//   node traffic.mjs [TOKEN] [URL]        TOKEN and URL can also come from the environment
import { setTimeout as sleep } from "node:timers/promises";

const [token = process.env.TOKEN, url = process.env.URL ?? "http://127.0.0.1:8080/graphql"] = process.argv.slice(2);
const rate = Number(process.env.RATE ?? 5);
const pages = ["", "/pricing", "/blog/spring", "/unboxing?utm_source=mail", "/support"];
const any = (list) => list[Math.floor(Math.random() * list.length)];

let retries = 0;

// Repeats the request until there is a response. Only repeat mutations that are safe to repeat.
async function ask(query, variables) {
  for (;; retries++, await sleep(1_000)) {
    try {
      const response = await fetch(url, {
        method: "POST",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
        body: JSON.stringify({ query, variables }),
        signal: AbortSignal.timeout(15_000),
      });
      const { data, errors } = await response.json();
      if (!errors) return data;
      if (errors.some(({ extensions }) => !["UNAVAILABLE", "TIMEOUT"].includes(extensions?.code))) {
        console.error(`\n${errors.map(({ message }) => message).join("; ")}`);
        process.exit(1);
      }
    } catch (error) {
      if (retries === 0) console.error(`\n${error.cause?.message || error.message}, trying again`);
    }
  }
}

// The ID is chosen here, so an event that is sent twice is stored once.
function event(sendId) {
  const chosen = { id: crypto.randomUUID(), sendId };
  const chance = Math.random();
  if (chance < 0.7) return { ...chosen, type: "OPEN" };
  if (chance < 0.95) return { ...chosen, type: "CLICK", url: `https://example.com${any(pages)}` };
  if (chance < 0.98) return { ...chosen, type: "BOUNCE", bounceType: "SOFT" };
  return { ...chosen, type: "UNSUBSCRIBE" };
}

const { sends } = await ask("{ sends(filter: { status: { eq: DELIVERED } }, first: 500) { nodes { id } } }");
if (sends.nodes.length === 0) {
  console.error("no delivered sends to make events of");
  process.exit(1);
}

let recorded = 0;
let duplicates = 0;
for (let due = 0; ; ) {
  const pause = 100 + 300 * Math.random();
  await sleep(pause);
  due += (rate * pause) / 1_000;
  if (due < 1) continue;
  const input = Array.from({ length: Math.floor(due) }, () => event(any(sends.nodes).id));
  due -= input.length;
  const { recordEvents } = await ask(
    "mutation($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded duplicates } }",
    { input },
  );
  recorded += recordEvents.recorded;
  duplicates += recordEvents.duplicates;
  process.stdout.write(`\r${recorded} recorded, ${duplicates} duplicates, ${retries} retries `);
}
