// Signs in at an issuer. ADDRESS is the service, ISSUER the issuer of issuer.mjs, whose tokens expire soon.

import { expect, isAccessible, visit } from "./browser.mjs";

const { ADDRESS, ISSUER } = process.env;
const shown = (page, name) => page.getByRole("heading", { name, exact: true }).waitFor();
const kept = (page) => page.evaluate(() => sessionStorage.getItem("campaigns:token"));

/** Signs in on the issuer's own page. */
async function signIn(page, role) {
  await page.getByRole("button", { name: `Sign in with ${new URL(ISSUER).host}` }).click();
  await page.getByLabel("Role").fill(role);
  await page.getByRole("button", { name: "Continue" }).click();
}

async function comingAndGoing(open) {
  const page = await open();
  await page.goto(`${ADDRESS}/segments?q=customers`);
  await shown(page, "Sign in");
  await isAccessible(page);
  await signIn(page, "admin");
  await shown(page, "Segments");
  const { href } = new URL(page.url());
  expect(href === `${ADDRESS}/segments?q=customers`, `the page that was asked for, not ${href}`);
  await page.getByText(", admin").waitFor();

  // no token outlives the tab, or is sent to the service in a cookie
  const cookies = await page.context().cookies(ADDRESS);
  const ofService = cookies.filter(({ value }) => value.includes(".ey"));
  expect(ofService.length === 0, "no token in a cookie");
  const stored = await page.evaluate(() => JSON.stringify({ ...localStorage }));
  expect(!stored.includes("token"), `no token in what outlives the tab: ${stored}`);

  // the token is renewed, and the page stays as it is
  await page.getByRole("searchbox", { name: "Search segments" }).fill("cust");
  const first = await kept(page);
  await page.waitForFunction((first) => {
    const now = sessionStorage.getItem("campaigns:token");
    return now !== null && now !== first;
  }, first);
  const text = await page.getByRole("searchbox", { name: "Search segments" }).inputValue();
  expect(text === "cust", "what was typed");
  await page.getByRole("link", { name: "Overview" }).click();
  await shown(page, "Engagement over time");

  await page.goto(`${ADDRESS}/graphiql`);
  await page.getByRole("tab", { name: "CampaignRates" }).waitFor();
  await page.goto(`${ADDRESS}/`);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: /sign me out/ }).click();
  await page.waitForURL(`${ADDRESS}/**`);
  await shown(page, "Sign in");
  const left = await page.evaluate(() => Object.values(sessionStorage).join());
  expect(!left.includes("token"), `nothing that is kept: ${left}`);

  // after signing out, the user has to sign in again
  await page.goto(`${ADDRESS}/graphiql`);
  await signIn(page, "member");
  await page.getByRole("tab", { name: "CampaignRates" }).waitFor();
  expect(page.url() === `${ADDRESS}/graphiql`, `GraphiQL, not ${page.url()}`);
  await page.context().close();
}

/** A response of the issuer that this tab did not request, as in a link. */
async function beingAnswered(open) {
  const page = await open();
  const answers = ["code=stolen&state=guessed", "error=access_denied&error_description=Call+us&state=guessed", ""];
  for (const answer of answers) {
    await page.goto(`${ADDRESS}/sign-in?${answer}`);
    await page.getByRole("alert").getByText("Sign-in failed").waitFor();
    expect(page.url() === `${ADDRESS}/`, "an address without the answer");
    expect((await page.getByText("Call us").count()) === 0, "no text of a stranger");
    expect((await kept(page)) === null, "no session");
  }
  // longer tokens, so that no page load interrupts a renewal
  await fetch(`${ISSUER}/lifetime/3600`);
  await signIn(page, "admin");
  await shown(page, "Engagement over time");
  const session = await page.evaluate(() => JSON.stringify({ ...sessionStorage }));
  for (const answer of answers) {
    await page.goto(`${ADDRESS}/sign-in?${answer}`);
    await page.waitForURL(`${ADDRESS}/`);
    await shown(page, "Engagement over time");
    const now = await page.evaluate(() => JSON.stringify({ ...sessionStorage }));
    expect(now.includes("oidc.user:") && session.includes("oidc.user:"), "the issuer's session as it was");
    expect((await kept(page)) !== null, "the session as it was");
  }
  await page.context().close();
}

async function changingOnesMind(open) {
  const page = await open();
  await page.goto(`${ADDRESS}/`);
  await page.getByRole("button", { name: /^Sign in with / }).first().click();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("alert").getByText("Sign-in failed: The person changed their mind.").waitFor();
  expect(page.url() === `${ADDRESS}/`, "an address without the issuer's answer");
  await page.context().close();
}

/** An issuer that refuses renewals, which browsers log. */
async function ending(open, complaints) {
  const page = await open();
  await fetch(`${ISSUER}/lifetime/12`);
  await page.goto(`${ADDRESS}/`);
  await signIn(page, "member");
  await shown(page, "Engagement over time");
  await fetch(`${ISSUER}/refuse`);
  await page.getByRole("alert").getByText("its token expired").waitFor();
  const kept = complaints.filter((complaint) => !complaint.includes("400 (Bad Request)"));
  complaints.splice(0, complaints.length, ...kept);
  await page.context().close();
}

await visit(
  ADDRESS,
  async (open, complaints) => {
    await comingAndGoing(open);
    await beingAnswered(open);
    await changingOnesMind(open);
    await ending(open, complaints);
  },
  [ISSUER],
);
console.log("done");
