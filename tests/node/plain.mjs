// Uses the plain page in a browser. ADDRESS is the service, TOKEN an admin's token. With SHOTS, it writes screenshots
// to that folder.

import { PATIENCE, click, expect, isAccessible, visit } from "./browser.mjs";

const { ADDRESS, TOKEN, SHOTS } = process.env;
const run = (page) => page.getByRole("button", { name: "Run" }).click();
const answer = (page) => page.locator("#response");

async function exploring(open, path) {
  const page = await open();
  await page.goto(`${ADDRESS}${path}#token=${TOKEN}`);
  expect(!page.url().includes("token"), "the address without the token");
  await page.getByText("EngagementEventEdge", { exact: false }).first().waitFor({ state: "attached" });
  await run(page);
  await answer(page).getByText('"totalCount": 1').waitFor();
  await answer(page).getByText('"openRate"').waitFor();
  await page.getByRole("textbox", { name: "Operation" }).fill("subscription { engagementEvents { node { type url } } }");
  await run(page);
  await answer(page).getByText("Subscribed").waitFor();
  const heard = answer(page).getByText("heard-in-the-explorer");
  const until = Date.now() + PATIENCE;
  while (Date.now() < until && !(await heard.isVisible())) {
    await click(ADDRESS, TOKEN, "https://example.com/heard-in-the-explorer");
    await heard.waitFor({ timeout: 2_000 }).catch(() => null);
  }
  expect(await heard.isVisible(), "an event in the explorer");
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByRole("button", { name: "Stop" }).waitFor({ state: "hidden" });
  await isAccessible(page);
  await page.context().close();
}

async function signingIn(open, colorScheme, device) {
  const page = await open({ colorScheme, ...device });
  const shoot = async (name) => {
    if (SHOTS) await page.screenshot({ path: `${SHOTS}/plain-${name}-${device.viewport.width}-${colorScheme}.png`, fullPage: true });
  };
  await page.goto(ADDRESS);
  const pasted = page.getByLabel("Token");
  await pasted.waitFor();
  // also before a user signs in
  expect(await page.getByText("install Node").isVisible(), "how to get the dashboard");
  await isAccessible(page);
  await shoot("signed-out");
  await pasted.fill(`Bearer ${TOKEN}`);
  await page.getByRole("button", { name: "Sign in" }).click();
  await run(page);
  await answer(page).getByText('"totalCount": 1').waitFor();
  expect(await page.getByText("install Node").isVisible(), "how to get the dashboard");
  await isAccessible(page);
  await shoot("explorer");
  await page.getByRole("button", { name: "Sign out" }).click();
  await pasted.waitFor();
  expect((await answer(page).textContent()) === "", "no answer of the session that has ended");
  await page.context().close();
}

await visit(ADDRESS, async (open) => {
  for (const path of ["/", "/graphiql"]) await exploring(open, path);
  const devices = [{ viewport: { width: 1280, height: 860 } }, { viewport: { width: 390, height: 800 } }];
  for (const device of devices) {
    for (const colorScheme of ["light", "dark"]) await signingIn(open, colorScheme, device);
  }
});
console.log("done");
