// Uses the pages of a service below a path of its host, behind a proxy. DASHBOARD and GRAPHIQL are the printed links,
// SERVICE is the address of the service itself.

import { ask, click, expect, hearInGraphiql, run, visit } from "./browser.mjs";

const { DASHBOARD, GRAPHIQL, SERVICE } = process.env;
const [address, fragment] = DASHBOARD.split("/#");
const token = new URLSearchParams(fragment).get("token");
const { origin, pathname: prefix } = new URL(address);
const heading = (page, name) => page.getByRole("heading", { name, exact: true }).waitFor();

/** Opens a page that can only request addresses below the path. */
async function watched(open, complaints) {
  const page = await open();
  page.on("request", (request) => {
    const url = new URL(request.url());
    const isOwn = url.origin === origin && `${url.pathname}/`.startsWith(`${prefix}/`);
    if (!isOwn && url.protocol !== "data:") complaints.push(`asked for ${url}`);
  });
  page.on("websocket", (socket) => {
    const { pathname } = new URL(socket.url());
    if (pathname !== `${prefix}/graphql`) complaints.push(`opened ${socket.url()}`);
  });
  return page;
}

/** Follows the feed on a page that shows it. */
async function follow(page, url) {
  await page.getByText("Live", { exact: true }).waitFor();
  await click(address, token, url);
  await page.getByText(url).first().waitFor();
}

async function looking(open, complaints) {
  const found = await ask(
    address,
    token,
    `{ campaigns(first: 1, filter: { name: { eq: "Summer sale" } }) { nodes { id name } }
       contacts(first: 1, filter: { clicked: true, suppressed: false }) { nodes { id } }
       segments(first: 1) { nodes { id } } }`,
  );
  const [campaign] = found.campaigns.nodes;
  const page = await watched(open, complaints);
  await page.goto(DASHBOARD);
  await heading(page, "Engagement over time");
  expect(page.url() === `${address}/`, `the address without the token, not ${page.url()}`);

  // by links, which are all below the path
  const hrefs = await page.locator("a[href]").evaluateAll((links) =>
    links.filter((link) => link.origin === location.origin).map((link) => link.getAttribute("href")),
  );
  const outside = hrefs.filter((href) => !href.startsWith(`${prefix}/`) && href !== prefix && href !== "#content");
  expect(outside.length === 0, `links below the path, not ${outside}`);
  await page.getByRole("link", { name: campaign.name }).click();
  await heading(page, "Funnel");
  expect(new URL(page.url()).pathname === `${prefix}/campaigns/${campaign.id}`, `a campaign's address, not ${page.url()}`);
  await page.getByRole("link", { name: "Segments", exact: true }).click();
  await heading(page, "Segments");
  await page.getByRole("link", { name: "Contacts", exact: true }).click();
  await heading(page, "Contacts");
  await page.getByRole("link", { name: "Live feed" }).click();
  await follow(page, "https://example.com/by-links");
  await page.goBack();
  await heading(page, "Contacts");

  // by deep links, with a reload
  const deep = {
    [`/campaigns/${campaign.id}`]: "Funnel",
    "/segments": "Segments",
    [`/segments/${found.segments.nodes[0].id}`]: null,
    "/contacts": "Contacts",
    [`/contacts/${found.contacts.nodes[0].id}`]: "History",
    "/live": null,
    "/": "Engagement over time",
  };
  for (const [path, name] of Object.entries(deep)) {
    await page.goto(address + path);
    for (const isAgain of [false, true]) {
      if (isAgain) await page.reload();
      if (name === null) await page.getByRole("heading", { level: 1 }).waitFor();
      else await heading(page, name);
      expect(new URL(page.url()).pathname === prefix + path, `${path}, not ${page.url()}`);
    }
  }
  await page.goto(`${address}/live`);
  await follow(page, "https://example.com/by-a-deep-link");
  await page.goto(`${address}/campaigns`);
  await heading(page, "Engagement over time");
  // the path itself leads to the dashboard
  await page.goto(address);
  await heading(page, "Engagement over time");
  await page.getByRole("link", { name: "GraphiQL" }).click();
  await page.getByRole("tab", { name: "CampaignRates" }).waitFor();
  await page.getByRole("link", { name: "Dashboard" }).click();
  await heading(page, "Engagement over time");
  await page.context().close();
}

async function exploring(open, complaints) {
  const page = await watched(open, complaints);
  await page.goto(GRAPHIQL);
  await page.getByRole("tab", { name: "CampaignRates" }).waitFor();
  await run(page, "openRate");
  await page.locator(".graphiql-response").getByText("openRate").first().waitFor();
  await hearInGraphiql(page, () => click(address, token, "https://example.com/heard-below-a-path"), "heard-below-a-path");
  await page.context().close();
}

/** A user who opens the root of the service directly is redirected below the path. */
async function comingPastTheProxy(open) {
  const page = await open();
  await page.goto(`${SERVICE}/live#token=${token}`);
  await page.waitForURL(`${SERVICE}${prefix}/live`);
  await follow(page, "https://example.com/past-the-proxy");
  await page.context().close();
}

const visiting = async (open, complaints) => {
  await looking(open, complaints);
  await exploring(open, complaints);
  await comingPastTheProxy(open);
};
await visit(address, visiting, [SERVICE]);
console.log("done");
