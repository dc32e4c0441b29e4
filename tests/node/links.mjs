// The effect of a link with a token on the session of a tab. ADDRESS is the service, MINE and THEIRS are tokens of
// the organizations acme and other, ENDED is an expired token. With LINKS, the service accepts tokens in links. With
// SHOTS, it writes screenshots to that folder.

import { expect, isAccessible, visit } from "./browser.mjs";

const { ADDRESS, MINE, THEIRS, ENDED, LINKS, SHOTS, PAGES } = process.env;
const kept = (page) => page.evaluate(() => sessionStorage.getItem("campaigns:token"));
const question = (page) => page.getByRole("dialog", { name: "Sign in with this link?" });
const link = (path, token) => `${ADDRESS}${path}#token=${token}`;

/** Follows a link from another page, which reloads this one. */
async function follow(page, address) {
  await page.goto("about:blank");
  await page.goto(address);
  hasNoToken(page);
}

function hasNoToken(page) {
  expect(!page.url().includes("token"), `an address without a token, not ${page.url()}`);
}

/** Waits until the session is that of a token, and the page is drawn. */
async function isSignedIn(page, token) {
  await page.waitForFunction((token) => sessionStorage.getItem("campaigns:token") === token, token);
  await page.getByRole("button", { name: /^(Sign out|Change token)$/ }).waitFor();
  hasNoToken(page);
}

async function stays(page, token) {
  expect((await kept(page)) === token, "the session as it was");
  expect(!(await question(page).isVisible()), "no question");
}

async function beingAsked(open, path, complaints) {
  for (const colorScheme of ["light", "dark"]) {
    const page = await open({ colorScheme });
    // no user is signed in, so the page does not ask
    await page.goto(link(path, MINE));
    await isSignedIn(page, MINE);
    await follow(page, link(path, MINE));
    await isSignedIn(page, MINE);
    await stays(page, MINE);

    await follow(page, link(path, THEIRS));
    await question(page).waitFor();
    for (const shown of ["acme", "an-admin", "other", "a-stranger"]) {
      await question(page).getByText(shown).first().waitFor();
    }
    await isSignedIn(page, MINE);
    if (SHOTS) await page.screenshot({ path: `${SHOTS}/link-${PAGES}${path.replace("/", "-")}-${colorScheme}.png` });
    await isAccessible(page, [[".graphiql-container"]]);
    // pressing Enter without reading keeps the session
    await page.keyboard.press("Enter");
    await question(page).waitFor({ state: "hidden" });
    await stays(page, MINE);
    await follow(page, link(path, THEIRS));
    await question(page).getByRole("button", { name: "Stay signed in" }).click();
    await question(page).waitFor({ state: "hidden" });
    await stays(page, MINE);

    // within the page, which is not reloaded
    await page.evaluate((token) => (location.hash = `token=${token}`), THEIRS);
    await question(page).waitFor();
    hasNoToken(page);
    await page.keyboard.press("Escape");
    await question(page).waitFor({ state: "hidden" });
    await stays(page, MINE);

    // other parts of the address change nothing
    await page.evaluate((token) => {
      window.name = token;
      window.postMessage({ token });
    }, THEIRS);
    await page.goto(`${ADDRESS}${path}?token=${THEIRS}`);
    await page.getByRole("button", { name: /^(Sign out|Change token)$/ }).waitFor();
    await stays(page, MINE);

    await follow(page, link(path, THEIRS));
    await question(page).getByRole("button", { name: "Sign in with the link" }).click();
    await isSignedIn(page, THEIRS);
    await stays(page, THEIRS);

    await follow(page, link(path, "nonsense"));
    await page.getByText("The token in this link is not valid").waitFor();
    expect((await kept(page)) === THEIRS, "the session as it was");
    // an expired session does not count
    await page.evaluate((token) => sessionStorage.setItem("campaigns:token", token), ENDED);
    await follow(page, link(path, MINE));
    await isSignedIn(page, MINE);
    await stays(page, MINE);
    await page.context().close();
  }
  // browsers log each response with 401
  const others = complaints.filter((complaint) => !complaint.includes("401 (Unauthorized)"));
  complaints.splice(0, complaints.length, ...others);
}

async function beingIgnored(open, path) {
  const page = await open();
  const notice = page.getByText("This service does not accept tokens in links.");
  await page.goto(link(path, THEIRS));
  await notice.waitFor();
  await stays(page, null);
  hasNoToken(page);
  if (SHOTS) await page.screenshot({ path: `${SHOTS}/ignored-${PAGES}${path.replace("/", "-")}.png` });
  await isAccessible(page);

  await page.getByLabel("Token").fill(MINE);
  await page.getByRole("button", { name: /^Sign in/ }).click();
  await isSignedIn(page, MINE);
  await follow(page, link(path, THEIRS));
  await isSignedIn(page, MINE);
  await page.evaluate((token) => (location.hash = `token=${token}`), THEIRS);
  await page.waitForFunction(() => !location.hash.includes("token"));
  await stays(page, MINE);
  expect(!(await notice.isVisible()), "no notice for a reader who is signed in");
  await page.getByRole("button", { name: /^(Sign out|Change token)$/ }).click();
  await page.getByLabel("Token").waitFor();
  expect(!(await notice.isVisible()), "no notice of a link of long ago");
  await page.evaluate((token) => (location.hash = `token=${token}`), THEIRS);
  await notice.waitFor();
  await stays(page, null);
  await page.context().close();
}

await visit(ADDRESS, async (open, complaints) => {
  for (const path of ["/", "/graphiql"]) {
    if (LINKS) await beingAsked(open, path, complaints);
    else await beingIgnored(open, path);
  }
});
console.log("done");
