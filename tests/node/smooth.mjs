// Whether the pages stay smooth under load: the feed page while many events a second arrive, and a contact's
// history of all these events while it is scrolled. DASHBOARD is the printed link of a service. RATE events a
// second are recorded for SECONDS. Prints the longest task of the page and its memory.
//
// With LONGEST, a task that takes more milliseconds fails it. Only a machine that does nothing else can tell.

import { setTimeout as sleep } from "node:timers/promises";
import { ask, visit } from "./browser.mjs";
import { report, scrollThrough, watch } from "./watch.mjs";

const { DASHBOARD, RATE = 10_000, SECONDS = 10 } = process.env;
const { origin, hash } = new URL(DASHBOARD);
const token = new URLSearchParams(hash.slice(1)).get("token");
const BATCH = 1_000;

/** Records events of one send at the rate. */
async function record(send, count) {
  const mutation = "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";
  const begun = performance.now();
  for (let recorded = 0; recorded < count; recorded += BATCH) {
    const input = Array.from({ length: BATCH }, () => ({ sendId: send, type: "OPEN" }));
    await ask(origin, token, mutation, { input });
    await sleep(begun + (1_000 * (recorded + BATCH)) / RATE - performance.now());
  }
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
  const rows = await scrollThrough(page);
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
