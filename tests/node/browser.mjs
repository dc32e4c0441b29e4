// A browser for tests: it reaches no other address, and records every error of a page.

import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const require = createRequire(import.meta.url);
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const programs = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
/** The path of the browser, if there is one. */
export const executablePath = process.env.CHROMIUM ?? programs.find(existsSync);
/** How long to wait for a page on a busy machine, in milliseconds. */
export const PATIENCE = 180_000;

/** Opens a browser that can reach a service and other addresses, and closes it after the visit, even if that fails. */
export async function visit(address, visiting, others = []) {
  if (executablePath === undefined) throw new Error("Chromium is not installed");
  const browser = await chromium.launch({
    executablePath,
    args: ["--no-sandbox", "--disable-background-networking"],
  });
  const origins = [address, ...others].map((of) => new URL(of).origin);
  const complaints = [];
  const open = async (options = {}) => {
    const context = await browser.newContext({
      locale: "en-GB",
      timezoneId: "Europe/Berlin",
      viewport: { width: 1280, height: 860 },
      ...options,
    });
    context.setDefaultTimeout(PATIENCE);
    await context.route(
      (url) => !origins.includes(url.origin),
      (route) => {
        complaints.push(`asked another host: ${route.request().url()}`);
        return route.abort();
      },
    );
    const page = await context.newPage();
    page.on("console", (message) => {
      if (message.type() === "error") complaints.push(`console: ${message.text()}`);
    });
    page.on("pageerror", (error) => complaints.push(`thrown on ${page.url()}: ${error.stack || error.name + ": " + error.message}`));
    return page;
  };
  try {
    await visiting(open, complaints);
    if (complaints.length > 0) throw new Error("the pages complained");
  } catch (error) {
    // what the pages show and log instead
    const pages = browser.contexts().flatMap((context) => context.pages());
    const shown = pages.map(async (page) => `${page.url()}\n${await page.locator("body").innerText()}`);
    throw new Error([...complaints, ...(await Promise.all(shown))].join("\n"), { cause: error });
  } finally {
    await browser.close();
  }
}

/** Throws if axe-core finds a problem on a page. Parts of third parties can be excluded. */
export async function isAccessible(page, exclude = []) {
  await page.evaluate(axe);
  // a dialog that fades in has too little contrast until it is fully shown
  await page.evaluate(() => {
    const ends = (animation) => animation.effect.getTiming().iterations !== Infinity;
    return Promise.allSettled(document.getAnimations().filter(ends).map(({ finished }) => finished));
  });
  const { violations } = await page.evaluate((exclude) => globalThis.axe.run({ exclude }), exclude);
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(" | ")}`);
  if (found.length > 0) throw new Error(`${page.url()}: ${found.join("\n")}`);
}

/** Queries the API of the service at this address, which has no trailing slash. */
export async function ask(address, token, query, variables = {}) {
  const response = await fetch(`${address}/graphql`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${token}` },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

/** Records a click on a send of a campaign. */
export async function click(address, token, url, metadata = {}) {
  const { sends } = await ask(
    address,
    token,
    "{ sends(first: 1, filter: { status: { eq: DELIVERED } }) { nodes { id campaign { id name } } } }",
  );
  const [send] = sends.nodes;
  await ask(address, token, "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }", {
    input: [{ sendId: send.id, type: "CLICK", url, metadata }],
  });
  return send;
}

/** Runs the operation in GraphiQL's editor, once it contains this field. */
export async function run(page, field) {
  await page.locator(".graphiql-query-editor .view-line", { hasText: field }).first().waitFor();
  await page.getByRole("button", { name: /^Execute query/ }).click();
}

/** Follows the feed in GraphiQL until an event with this text, which `happen` records, is shown. */
export async function hearInGraphiql(page, happen, text) {
  await page.getByRole("tab", { name: /Feed/ }).click();
  // the page does not show when GraphiQL has the operation of another tab, and when the subscription has started
  const heard = page.locator(".graphiql-response").getByText(text).first();
  const until = Date.now() + PATIENCE;
  while (Date.now() < until && !(await heard.isVisible())) {
    const isRunning = await page.getByRole("button", { name: /^Stop query/ }).isVisible();
    if (!isRunning) await run(page, "engagementEvents");
    await happen();
    await heard.waitFor({ timeout: 2_000 }).catch(() => null);
  }
  expect(await heard.isVisible(), "an event in GraphiQL");
}

/** Throws if the condition is false. */
export function expect(holds, what) {
  if (!holds) throw new Error(`expected: ${what}`);
}
