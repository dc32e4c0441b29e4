// How smooth a page is: its longest task, how often it draws, its memory.
//
// With LONGEST, a task that takes more milliseconds fails it. Only a machine that does nothing else can tell.

import { expect } from "./browser.mjs";

const { LONGEST } = process.env;

/** Remembers the tasks above 50 ms from now on, and how many frames are drawn. */
export async function watch(page) {
  await page.evaluate(() => {
    globalThis.seen = { tasks: [], frames: 0, since: performance.now() };
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) seen.tasks.push(Math.round(duration));
    }).observe({ type: "longtask" });
    const frame = () => {
      seen.frames++;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  });
}

/** Prints what was seen since, and fails where it is too much. */
export async function report(page, what) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("HeapProfiler.collectGarbage");
  const { usedSize } = await devtools.send("Runtime.getHeapUsage");
  const { tasks, frames, since, now } = await page.evaluate(() => ({ ...seen, now: performance.now() }));
  const longest = Math.max(0, ...tasks);
  const perSecond = Math.round((1_000 * frames) / (now - since));
  const heap = (usedSize / 2 ** 20).toFixed(1);
  console.log(
    `${what}: longest task ${longest === 0 ? "below 50" : longest} ms (${tasks.length} above 50 ms), ` +
      `${perSecond} frames a second, heap ${heap} MiB`,
  );
  if (LONGEST) expect(longest <= Number(LONGEST), `no task above ${LONGEST} ms`);
  expect(usedSize < 100 * 2 ** 20, `a heap below 100 MiB, not ${heap}`);
}

/** Scrolls a table down as it loads, and up again; returns how many rows it has. */
export async function scrollThrough(page) {
  const rows = await page.evaluate(async () => {
    const scroller = document.querySelector(".rows");
    const table = scroller.querySelector("table");
    const drawn = () => new Promise(requestAnimationFrame);
    while (table.ariaRowCount === "-1") {
      scroller.scrollBy(0, 2_000);
      await drawn();
    }
    for (let top = scroller.scrollHeight; top > 0; top -= 20_000) {
      scroller.scrollTo(0, top);
      await drawn();
    }
    return Number(table.ariaRowCount) - 1;
  });
  const drawn = await page.getByRole("row").count();
  expect(drawn < 100, `the rows in view, not ${drawn}`);
  return rows;
}
