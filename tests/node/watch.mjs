// Measures the responsiveness of a page: its longest task and its memory.
//
// With LONGEST, a task that takes more milliseconds fails it, which is only meaningful on an idle machine.

import { expect } from "./browser.mjs";

const { LONGEST } = process.env;

/** Records tasks above 50 ms from now on. */
export async function watch(page) {
  await page.evaluate(() => {
    globalThis.tasks = [];
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) tasks.push(Math.round(duration));
    }).observe({ type: "longtask" });
  });
}

/** Prints the recorded tasks, and fails if one is too long. */
export async function report(page, what) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("HeapProfiler.collectGarbage");
  const { usedSize } = await devtools.send("Runtime.getHeapUsage");
  const tasks = await page.evaluate(() => globalThis.tasks);
  const longest = Math.max(0, ...tasks);
  const heap = (usedSize / 2 ** 20).toFixed(1);
  console.log(
    `${what}: longest task ${longest === 0 ? "below 50" : longest} ms (${tasks.length} above 50 ms), ` +
      `heap ${heap} MiB`,
  );
  if (LONGEST) expect(longest <= Number(LONGEST), `no task above ${LONGEST} ms`);
  expect(usedSize < 100 * 2 ** 20, `a heap below 100 MiB, not ${heap}`);
}

/** Scrolls a table down as it loads, up to a row, and up again. Returns the number of rows. */
export async function scrollThrough(page, most = Infinity) {
  const rows = await page.evaluate(async (most) => {
    const scroller = document.querySelector(".rows");
    const table = scroller.querySelector("table");
    const drawn = () => new Promise(requestAnimationFrame);
    const reached = () => Number([...table.rows].findLast((row) => row.ariaRowIndex !== null).ariaRowIndex) - 1;
    while (table.ariaRowCount === "-1" && reached() < most) {
      scroller.scrollBy(0, 2_000);
      await drawn();
    }
    const rows = table.ariaRowCount === "-1" ? reached() : Number(table.ariaRowCount) - 1;
    for (let top = scroller.scrollHeight; top > 0; top -= 20_000) {
      scroller.scrollTo(0, top);
      await drawn();
    }
    return rows;
  }, most);
  const drawn = await page.getByRole("row").count();
  expect(drawn < 100, `the rows in view, not ${drawn}`);
  return rows;
}
