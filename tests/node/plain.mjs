// What a person does with the plain pages, in a browser. ADDRESS is the service, TOKEN an admin's token.

import { click, expect, isAccessible, visit } from "./browser.mjs";

const { ADDRESS, TOKEN } = process.env;

async function exploring(open) {
  const page = await open();
  await page.goto(`${ADDRESS}/graphiql#token=${TOKEN}`);
  expect(!page.url().includes("token"), "the address without the token");
  await page.getByText("EngagementEventEdge", { exact: false }).first().waitFor({ state: "attached" });
  await page.getByRole("button", { name: "Run" }).click();
  const answer = page.locator("#response");
  await answer.getByText('"totalCount": 1').waitFor();
  await page.getByRole("textbox", { name: "Operation" }).fill("subscription { engagementEvents { node { type url } } }");
  await page.getByRole("button", { name: "Run" }).click();
  await answer.getByText("Subscribed").waitFor();
  const heard = answer.getByText("heard-in-the-explorer");
  for (let tries = 0; tries < 10 && !(await heard.isVisible()); tries++) {
    await click(ADDRESS, TOKEN, "https://example.com/heard-in-the-explorer");
    await heard.waitFor({ timeout: 2_000 }).catch(() => null);
  }
  expect(await heard.isVisible(), "an event in the explorer");
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByRole("button", { name: "Stop" }).waitFor({ state: "hidden" });
  await isAccessible(page);
  await page.context().close();
}

async function looking(open) {
  for (const colorScheme of ["light", "dark"]) {
    const page = await open({ colorScheme });
    await page.goto(`${ADDRESS}/#token=${TOKEN}`);
    await page.getByRole("cell", { name: "Spring" }).waitFor();
    await isAccessible(page);
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("Token").fill(`Bearer ${TOKEN}`);
    await isAccessible(page);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("cell", { name: "Spring" }).waitFor();
    await page.context().close();
  }
}

await visit(ADDRESS, async (open) => {
  await exploring(open);
  await looking(open);
});
console.log("done");
