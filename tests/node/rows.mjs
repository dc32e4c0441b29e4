// A list of ROWS contacts, scrolled from its beginning to its end. ADDRESS is the service, TOKEN opens it.

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
