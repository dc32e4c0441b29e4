// A follower of the live feed by graphql-sse whose connections are cut repeatedly. It continues after its last
// cursor, and prints the URLs of the events in the order of their arrival once it has $EXPECT of them.
import { createClient } from "graphql-sse";

const { URL, TOKEN, AFTER, EXPECT } = process.env;
const variables = { after: AFTER };
const urls = [];
let cuts = 0;
let current;

const client = createClient({
  url: URL,
  headers: { authorization: `Bearer ${TOKEN}` },
  retryAttempts: Infinity,
  retry: () => new Promise((resolve) => setTimeout(resolve, 20)),
  fetchFn: (address, init) => {
    current = new AbortController();
    return fetch(address, { ...init, signal: AbortSignal.any([init.signal, current.signal]) });
  },
});

const cutting = setInterval(() => {
  cuts += 1;
  current?.abort(new TypeError("network error"));
}, 150);

client.subscribe(
  { query: "subscription ($after: String) { engagementEvents(after: $after) { cursor node { url } } }", variables },
  {
    next: ({ data, errors }) => {
      if (errors) fail(errors);
      variables.after = data.engagementEvents.cursor;
      urls.push(data.engagementEvents.node.url);
      if (urls.length === Number(EXPECT)) {
        clearInterval(cutting);
        console.log(JSON.stringify({ urls, cuts }));
        process.exit(0);
      }
    },
    error: fail,
    complete: () => fail("complete"),
  },
);

function fail(why) {
  console.error(why);
  process.exit(1);
}
