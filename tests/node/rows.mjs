// Scrolls a list of ROWS contacts from its start to its end. ADDRESS is the service, TOKEN a token for it.

import { expect, visit } from "./browser.mjs";
import { report, scrollThrough, watch } from "./watch.mjs";

const { ADDRESS, TOKEN, ROWS } = process.env;

await visit(ADDRESS, async (open) => {
  const page = await open();
  await page.goto(`${ADDRESS}/contacts#token=${TOKEN}`);
  await page.getByRole("row").nth(1).waitFor();
  await watch(page);
  const rows = await scrollThrough(page);
  expect(rows === Number(ROWS), `${ROWS} rows, not ${rows}`);
  await report(page, `${rows} rows scrolled`);
});
