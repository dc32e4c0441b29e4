// Uses the dashboard and GraphiQL in a browser. DASHBOARD and GRAPHIQL are the printed links, MEMBER is a member's
// token. With EVERYWHERE, each page is also opened on a desktop and on a phone, light and dark. With SHOTS, it does
// only that, and writes screenshots to that folder.

import { ask, click, expect, hearInGraphiql, isAccessible, run, visit } from "./browser.mjs";
import { wire } from "./wire.mjs";

const { DASHBOARD, GRAPHIQL, MEMBER, EVERYWHERE, SHOTS } = process.env;
const address = new URL(DASHBOARD).origin;
const token = new URLSearchParams(new URL(DASHBOARD).hash.slice(1)).get("token");

/** A link with another token. */
const as = (other, path = "/") => `${address}${path}#token=${other}`;
const shown = (page, name) => page.getByRole("heading", { name, exact: true }).waitFor();

/** Selects an object by its name. */
async function pick(page, label, name) {
  await page.getByRole("combobox", { name: label }).fill(name);
  await page.getByRole("option", { name, exact: true }).click();
}

async function exploring(open) {
  const page = await open();
  await page.goto(GRAPHIQL);
  await page.getByRole("tab", { name: "CampaignRates" }).waitFor();
  expect(!page.url().includes("token"), "the address without the token");
  await run(page, "openRate");
  await page.locator(".graphiql-response").getByText("openRate").first().waitFor();
  await hearInGraphiql(page, () => click(address, token, "https://example.com/heard-in-graphiql"), "heard-in-graphiql");
  await page.getByRole("button", { name: "Show Documentation Explorer" }).click();
  await page.getByText("engagementEvents").first().waitFor();
  // problems of GraphiQL itself: a button within each tab, colors of the editor's code, an item of the history whose
  // name differs from its text, a select in the explorer without a label
  const theirs = [[".graphiql-tabs"], [".monaco-editor"], [".graphiql-history-item-label"], [".graphiql-plugin select"]];
  await isAccessible(page, theirs);
  for (const pane of ["Show History", "Show GraphiQL Explorer"]) {
    await page.getByRole("button", { name: pane }).click();
    await isAccessible(page, theirs);
  }
  await page.getByRole("button", { name: "Change token" }).click();
  await page.getByLabel("Token").waitFor();
  await isAccessible(page);
  await page.context().close();
}

async function looking(open) {
  const page = await open();
  const files = [];
  page.on("requestfinished", (request) => request.url().includes("/assets/") && files.push(request.sizes()));
  await page.goto(DASHBOARD);
  await page.locator(".chart canvas").waitFor();
  const bytes = (await Promise.all(files)).reduce((sum, { responseBodySize }) => sum + responseBodySize, 0);
  expect(bytes > 0 && bytes < 250_000, `a first page below 250 kB, not ${bytes}`);
  expect(!page.url().includes("token"), "the address without the token");
  await page.goBack().catch(() => null);
  expect(!page.url().includes("token"), "the history without the token");
  await page.goto(`${address}/`);
  await page.getByRole("link", { name: "Summer sale" }).waitFor();
  await isAccessible(page);

  // choices are in the address, and another user sees the same
  const zone = page.getByRole("combobox", { name: "Time zone" });
  await zone.focus();
  await zone.selectOption("Asia/Tokyo");
  await page.waitForURL(/zone=Asia%2FTokyo/);
  await page.getByLabel("Search campaigns").fill("sale");
  await page.waitForURL(/q=sale/);
  await page.getByRole("button", { name: "Open rate" }).click();
  await page.waitForURL(/sort=OPEN_RATE/);
  const names = async (of) => of.getByRole("group", { name: "Campaigns" }).getByRole("link").allInnerTexts();
  await page.getByRole("link", { name: "Spring catalogue" }).waitFor({ state: "detached" });
  const other = await open();
  await other.goto(as(MEMBER, new URL(page.url()).pathname + new URL(page.url()).search));
  await other.getByRole("link", { name: "Summer sale" }).waitFor();
  expect(String(await names(other)) === String(await names(page)), "the same view from the address");

  // members do not see buttons for admins
  await other.getByRole("link", { name: "Summer sale" }).click();
  await shown(other, "Funnel");
  expect((await other.getByRole("button", { name: "Delete" }).count()) === 0, "no delete for a member");
  await isAccessible(other);
  await other.getByRole("button", { name: "Sign out" }).click();
  await other.getByRole("heading", { name: "Sign in" }).waitFor();
  await isAccessible(other);
  await other.getByLabel("Token").fill(`Bearer ${MEMBER}`);
  await other.getByRole("button", { name: "Sign in" }).click();
  await shown(other, "Funnel");
  await other.context().close();
  return page;
}

async function following(page) {
  await page.getByRole("link", { name: "Live feed" }).click();
  await page.getByText("Live", { exact: true }).waitFor();
  await click(address, token, "https://example.com/first");
  await page.getByText("https://example.com/first").waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  const { campaign } = await click(address, token, "https://example.com/second");
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByText("https://example.com/second").waitFor();
  expect((await page.getByText("https://example.com/first").count()) === 1, "each event once");
  await isAccessible(page);

  await page.getByRole("link", { name: campaign.name }).first().click();
  await shown(page, "Counters");
  const counters = page.getByRole("region", { name: "Counters" });
  const counter = counters.locator("div", { has: page.getByText("Clicks by people", { exact: true }) }).last();
  const clicks = counter.locator(".figure");
  const all = counter.getByText(/ with machines$/);
  const number = async (of) => Number((await of.innerText()).replace(/\D/g, ""));
  const [before, allBefore] = [await number(clicks), await number(all)];
  await page.getByText("Live", { exact: true }).waitFor();
  await click(address, token, "https://example.com/third");
  await page.waitForFunction(
    ([element, before]) => Number(element.innerText.replace(/\D/g, "")) === before + 1,
    [await clicks.elementHandle(), before],
  );
  // clicks of machines are shown separately
  await click(address, token, "https://example.com/fourth", { machine: true });
  await page.waitForFunction(
    ([element, before]) => Number(element.innerText.replace(/\D/g, "")) === before + 2,
    [await all.elementHandle(), allBefore],
  );
  expect((await number(clicks)) === before + 1, "people apart from machines");
}

/** A list of any length loads as the user scrolls, and only the rows in view are on the page. */
async function scrolling(open) {
  const { contacts } = await ask(address, token, "{ contacts(first: 0) { totalCount } }");
  const page = await open();
  await page.goto(as(token, "/contacts"));
  await page.getByRole("group", { name: "Contacts" }).waitFor();
  await page.waitForFunction((rows) => {
    const scroller = document.querySelector(".rows");
    scroller.scrollTop = scroller.scrollHeight;
    return scroller.querySelector("table").ariaRowCount === String(rows);
  }, contacts.totalCount + 1);
  const drawn = await page.getByRole("row").count();
  expect(drawn < 100, `the rows in view, not ${drawn}`);
  await page.context().close();
}

/** Events while the network fails are shown once and in order. */
async function reconnecting(open) {
  const page = await open();
  await page.goto(`${network.address}/live#token=${token}`);
  await page.getByText("Live", { exact: true }).waitFor();
  const items = ["before", "meanwhile", "after"];
  for (const item of items) {
    if (item === "meanwhile") network.cut();
    await click(address, token, `https://example.com/${item}`);
    await page.getByText(`https://example.com/${item}`).waitFor();
  }
  const links = await page.getByText(/^https:\/\/example.com\//).allInnerTexts();
  const wanted = items.toReversed().map((item) => `https://example.com/${item}`);
  expect(String(links) === String(wanted), `each event once, not ${links}`);
  await page.context().close();
}

async function selecting(page) {
  await page.getByRole("link", { name: "Segments", exact: true }).click();
  await page.getByRole("button", { name: "New segment" }).click();
  await page.getByRole("textbox", { name: "Name" }).fill("German customers");
  for (const [field, value] of [["Country", "DE"], ["Type", "customer"]]) {
    await page.getByRole("button", { name: "Add rule" }).click();
    const rule = page.locator(".rule").last();
    await rule.getByRole("combobox", { name: "Field" }).selectOption({ label: field });
    if (field === "Type") await rule.getByRole("combobox", { name: "Value" }).selectOption(value);
    else await rule.getByRole("textbox", { name: "Value" }).fill(value);
  }
  await page.getByRole("button", { name: "Add rule" }).click();
  const span = page.locator(".rule").last();
  await span.getByRole("combobox", { name: "Field" }).selectOption({ label: "Opens" });
  await span.getByRole("combobox", { name: "Operator" }).selectOption({ label: "is between" });
  await span.getByRole("spinbutton", { name: "Lowest value" }).fill("0");
  await span.getByRole("spinbutton", { name: "Highest value" }).fill("1000");
  const rules = {
    combinator: "and",
    rules: [
      { field: "country", operator: "=", value: "DE" },
      { field: "type", operator: "=", value: "customer" },
    ],
  };
  const { previewSegment } = await ask(address, token, "query ($rules: JSON!) { previewSegment(rules: $rules) { count } }", { rules });
  await page.getByRole("status").getByText(`${previewSegment.count} contacts match`).waitFor();
  await isAccessible(page);
  await page.getByRole("button", { name: "Create segment" }).click();
  await page.waitForURL(/segments\/[0-9a-f-]{36}$/);
  await page.getByText(`${previewSegment.count} contacts when last counted`).waitFor();
  await page.getByRole("row").nth(1).getByRole("link").click();
  await shown(page, "History");
  await isAccessible(page);
  return previewSegment.count;
}

async function scheduling(page, count) {
  await page.getByRole("link", { name: "Overview" }).click();
  await page.getByRole("button", { name: "New campaign" }).click();
  const form = page.getByRole("dialog");
  await form.getByLabel("Name").fill("Winter in Germany");
  await form.getByLabel("Subject").fill("Warm coats");
  await isAccessible(page);
  await form.getByRole("button", { name: "Create" }).click();
  await shown(page, "Winter in Germany");
  await pick(page, "Segment to add", "German customers");
  await page.getByRole("button", { name: "Add segment" }).click();
  await page.getByText(`${count} added, 0 already on the list.`).waitFor();
  const list = page.getByRole("region", { name: "List" });
  await list.getByText(`${count} in total`).waitFor();
  await list.getByRole("checkbox", { name: /^Select / }).nth(1).check();
  await isAccessible(page);
  await list.getByRole("button", { name: "Remove from list" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
  await list.getByText("1 removed from the list.").waitFor();
  await list.getByText(`${count - 1} in total`).waitFor();
  await page.getByRole("button", { name: "Schedule" }).click();
  await page.getByLabel("Start at").fill("2099-01-31T09:30");
  await page.getByRole("dialog").getByRole("button", { name: "Schedule" }).click();
  await page.getByText(/starts 31 Jan 2099/).waitFor();
  await page.getByRole("button", { name: "Unschedule" }).waitFor();
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await shown(page, "Engagement over time");
  await page.context().close();
}

/** Corrects sends, events and lists one by one. */
async function correcting(open) {
  const made = await ask(
    address,
    token,
    `mutation { createCampaign(input: { name: "By hand" }) { campaign { id } } }`,
  );
  const { id } = made.createCampaign.campaign;
  const page = await open();
  await page.goto(as(token, "/contacts"));
  const choose = (place) => page.getByRole("checkbox", { name: /^Select / }).nth(place).check();
  for (const place of [1, 2, 3, 4, 5]) await choose(place);
  await pick(page, "Campaign to add contacts to", "By hand");
  await isAccessible(page);
  await page.getByRole("button", { name: "Add to list" }).click();
  await page.getByText("5 added, 0 already on the list.").waitFor();
  await ask(address, token, "mutation ($id: ID!) { startCampaign(id: $id) { campaign { id } } }", { id });

  await page.goto(as(token, `/campaigns/${id}`));
  const recipients = page.getByRole("region", { name: "Recipients" });
  const sends = async () => {
    const { campaign } = await ask(address, token, "query ($id: ID!) { campaign(id: $id) { stats { sends failed } } }", { id });
    return campaign.stats;
  };
  const { sends: before } = await sends();
  await recipients.getByRole("checkbox", { name: /^Select / }).nth(1).check();
  await recipients.getByRole("button", { name: "Report delivery" }).click();
  const form = page.getByRole("dialog");
  await form.getByLabel("Status").selectOption("FAILED");
  await form.getByLabel("Error").fill("no such mailbox");
  await isAccessible(page);
  await form.getByRole("button", { name: "Report" }).click();
  await recipients.getByText("1 updated, 0 unchanged.").waitFor();
  await recipients.getByText("no such mailbox").waitFor();
  await recipients.getByRole("checkbox", { name: /^Select / }).nth(1).check();
  await recipients.getByRole("button", { name: "Delete send" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await recipients.getByText("The send was deleted.").waitFor();
  const left = await sends();
  expect(left.sends === before - 1, `a send less than ${before}, not ${left.sends}`);

  const { contacts } = await ask(
    address,
    token,
    "{ contacts(first: 1, filter: { suppressed: false, clicked: true }) { nodes { id events(first: 0) { totalCount } } } }",
  );
  const [contact] = contacts.nodes;
  await page.goto(as(token, `/contacts/${contact.id}`));
  await page.getByRole("button", { name: "Unsubscribe" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Unsubscribe" }).click();
  await page.getByRole("alert").getByText("Suppressed").waitFor();
  const history = page.getByRole("region", { name: "History" });
  await history.getByText(`${contact.events.totalCount + 1} in total`).waitFor();
  await history.getByRole("checkbox", { name: /^Select Unsubscribe/ }).check();
  await history.getByRole("button", { name: "Delete event" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByRole("button", { name: "Unsubscribe" }).waitFor();
  await history.getByText(`${contact.events.totalCount} in total`).waitFor();
  await ask(address, token, "mutation ($id: ID!) { deleteCampaign(id: $id) { id } }", { id });
  await page.context().close();
}

/** Creates a webhook of a mail provider, posts to it, rotates its key, and deletes it. */
async function providing(open) {
  const page = await open();
  await page.goto(as(token, "/providers"));
  await page.getByText("No webhooks yet").waitFor();
  await isAccessible(page);
  await page.getByRole("button", { name: "New webhook" }).click();
  await page.getByRole("combobox", { name: "Provider" }).click();
  await page.getByRole("option", { name: "Postmark", exact: true }).click();
  await page.getByLabel("Name").fill("Newsletter");
  await page.getByLabel("Credentials").fill("user:first");
  await isAccessible(page);
  await page.getByRole("button", { name: "Create webhook" }).click();
  await shown(page, "Newsletter");
  await page.getByText("basic authentication to the credentials under Keys").waitFor();
  const url = await page.locator("pre.secret").textContent();
  const post = (password) =>
    fetch(url, {
      method: "POST",
      headers: { authorization: `Basic ${btoa(`user:${password}`)}` },
      body: JSON.stringify({ RecordType: "Delivery", MessageID: "m", DeliveredAt: new Date().toISOString() }),
    });
  expect((await post("first")).status === 200, "an accepted request");
  expect((await post("wrong")).status === 403, "a refused request");
  const events = page.getByRole("region", { name: "Events" });
  await events.getByText("the credentials are wrong").waitFor();
  await isAccessible(page);
  const keys = page.getByRole("region", { name: "Keys" });
  await keys.getByLabel("Credentials").fill("user:second");
  await keys.getByRole("button", { name: "Replace the keys" }).click();
  await page.waitForFunction(() => document.querySelector("textarea")?.value === "");
  expect((await post("first")).status === 403, "the first key is replaced");
  expect((await post("second")).status === 200, "the second key works");
  await page.getByRole("link", { name: "All webhooks" }).click();
  const row = page.getByRole("row", { name: /Newsletter/ });
  await row.getByText("Receiving").waitFor();
  await isAccessible(page);
  const member = await open();
  await member.goto(as(MEMBER, new URL(await row.getByRole("link").evaluate((link) => link.href)).pathname));
  await member.getByText("Only admins see the URL.").waitFor();
  expect((await member.getByRole("button", { name: "Delete" }).count()) === 0, "no button for members");
  await member.context().close();
  await row.getByRole("link").click();
  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByText("No webhooks yet").waitFor();
  expect((await post("second")).status === 404, "a deleted webhook");
  await page.context().close();
}

async function ending(open) {
  const page = await open();
  await page.clock.install();
  await page.goto(DASHBOARD);
  await shown(page, "Engagement over time");
  const { exp } = JSON.parse(atob(token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
  const left = exp * 1000 - Date.now();
  await page.clock.fastForward(left / 2);
  expect((await page.getByRole("heading", { name: "Sign in" }).count()) === 0, "a session until its token ends");
  await page.clock.fastForward(left / 2 + 1000);
  await page.getByRole("alert").getByText("its token expired").waitFor();
  await page.context().close();
}

/** Refused tokens. Browsers log each response with 401. */
async function refused(open, complaints) {
  const page = await open();
  await page.goto(as("nonsense"));
  await page.getByRole("alert").getByText("not valid").waitFor();
  const kept = complaints.filter((complaint) => !complaint.includes("401 (Unauthorized)"));
  complaints.splice(0, complaints.length, ...kept);
  await page.context().close();
}

async function photographing(open) {
  const { campaigns, contacts, segments } = await ask(
    address,
    token,
    `{ campaigns(first: 1, filter: { name: { eq: "Summer sale" } }) { nodes { id } }
       contacts(first: 1, filter: { clicked: true, suppressed: true }) { nodes { id } }
       segments(first: 1, orderBy: [{ field: CAMPAIGNS_USED_IN, direction: DESC }]) { nodes { id } } }`,
  );
  const pages = {
    overview: "/",
    campaign: `/campaigns/${campaigns.nodes[0].id}`,
    segment: `/segments/${segments.nodes[0].id}`,
    contact: `/contacts/${contacts.nodes[0].id}`,
    graphiql: "/graphiql",
    live: "/live",
  };
  const onPhones = ["overview", "graphiql"];
  const devices = [["desk", { width: 1280, height: 860 }], ["phone", { width: 390, height: 800 }]];
  // the feed comes last, since its events change the other pages
  for (const [name, path] of Object.entries(pages)) {
    for (const colorScheme of ["light", "dark"]) {
      for (const [device, viewport] of devices) {
        const page = await open({ colorScheme, viewport });
        await page.goto(as(token, path));
        await page.waitForLoadState("networkidle").catch(() => null);
        if (name === "live") {
          await page.getByText("Live", { exact: true }).waitFor();
          for (const item of ["boots", "tents", "lamps"]) await click(address, token, `https://alderpine.example/${item}`);
          await page.getByText("https://alderpine.example/lamps").first().waitFor();
        }
        if (name === "graphiql") {
          await run(page, "openRate");
          await page.locator(".graphiql-response").getByText("openRate").first().waitFor();
        } else {
          await page.getByRole("heading", { level: 1 }).waitFor();
          await page.waitForFunction(() => !document.querySelector("[aria-busy=true], [aria-label=Loading]"));
          await page.getByText("Counting…").waitFor({ state: "hidden" });
          await isAccessible(page);
        }
        const { width } = viewport;
        const isWide = await page.evaluate((width) => document.documentElement.scrollWidth > width, width);
        expect(!isWide, `${name} fits a ${device}`);
        if (SHOTS && (device === "desk" || onPhones.includes(name))) await page.screenshot({ path: `${SHOTS}/${name}-${device}-${colorScheme}.png` });
        await page.context().close();
      }
    }
  }
}

const network = await wire(address);
const visiting = async (open, complaints) => {
  if (SHOTS) return photographing(open);
  await exploring(open);
  const page = await looking(open);
  await following(page);
  await reconnecting(open);
  await scrolling(open);
  const count = await selecting(page);
  await scheduling(page, count);
  await correcting(open);
  await providing(open);
  await ending(open);
  await refused(open, complaints);
  if (EVERYWHERE) await photographing(open);
};
await visit(DASHBOARD, visiting, [network.address]);
network.end();
console.log("done");
