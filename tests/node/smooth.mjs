// Measures the responsiveness of the pages under load: the feed page while many events arrive each second, and a
// contact's history while 100,000 of these events are scrolled. DASHBOARD is the printed link of a service. RATE
// events a second are recorded for SECONDS. Prints the longest task of the page and its memory.
//
// With LONGEST, a task that takes more milliseconds fails it, which is only meaningful on an idle machine.

import { setTimeout as sleep } from "node:timers/promises";
import { ask, visit } from "./browser.mjs";
import { report, scrollThrough, watch } from "./watch.mjs";

const { DASHBOARD, RATE = 10_000, SECONDS = 10 } = process.env;
const { origin, hash } = new URL(DASHBOARD);
const token = new URLSearchParams(hash.slice(1)).get("token");
const BATCH = 1_000;
/** The maximum number of concurrent calls, so that the rate does not depend on responses. */
const CALLS = 16;

/** Records events of one send at the rate. */
async function record(send, count) {
  const mutation = "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";
  const begun = performance.now();
  let recorded = 0;
  const calling = async () => {
    while (recorded < count) {
      const due = begun + (1_000 * recorded) / RATE;
      recorded += BATCH;
      await sleep(due - performance.now());
      const input = Array.from({ length: BATCH }, () => ({ sendId: send, type: "OPEN" }));
      await ask(origin, token, mutation, { input });
    }
  };
  await Promise.all(Array.from({ length: CALLS }, calling));
  return Math.round((1_000 * count) / (performance.now() - begun));
}

async function following(open, send) {
  const page = await open();
  await page.goto(`${origin}/live#token=${token}`);
  await page.getByText("Live", { exact: true }).waitFor();
  await watch(page);
  const rate = await record(send.id, RATE * SECONDS);
  const total = new Intl.NumberFormat("en-GB").format(RATE * SECONDS);
  await page.getByText(`${total} since you opened this page`).waitFor();
  await report(page, `${total} events at ${rate} a second`);
  await page.context().close();
}

async function scrolling(open, { contact }) {
  const page = await open();
  await page.goto(`${origin}/contacts/${contact.id}#token=${token}`);
  await page.getByRole("group", { name: "History" }).waitFor();
  await watch(page);
  const rows = await scrollThrough(page, 100_000);
  await report(page, `${rows} rows scrolled`);
  await page.context().close();
}

await visit(DASHBOARD, async (open) => {
  const { sends } = await ask(
    origin,
    token,
    "{ sends(first: 1, filter: { status: { eq: DELIVERED } }) { nodes { id contact { id } } } }",
  );
  const [send] = sends.nodes;
  await following(open, send);
  await scrolling(open, send);
});
