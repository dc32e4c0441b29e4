// Runs Lighthouse on the overview, on its throttled phone and on a desktop. DASHBOARD is the printed link of a
// service. Fails if a category has less than 95, which is only meaningful on an idle machine.

import { execFileSync } from "node:child_process";
import { executablePath } from "./browser.mjs";

const { DASHBOARD, LEAST = 95 } = process.env;
const flags = "--chrome-flags=--headless --no-sandbox --disable-background-networking";
let isEnough = true;
for (const [name, preset] of Object.entries({ phone: [], desk: ["--preset=desktop"] })) {
  const json = execFileSync(
    "npx",
    ["--ignore-scripts", "--yes", "lighthouse@12", DASHBOARD, ...preset, "--quiet", flags, "--output=json"],
    { env: { ...process.env, CHROME_PATH: executablePath }, maxBuffer: 1 << 28, encoding: "utf8" },
  );
  const { categories, audits } = JSON.parse(json);
  const scores = Object.values(categories).map(({ title, score }) => `${title} ${Math.round(score * 100)}`);
  const times = ["first-contentful-paint", "largest-contentful-paint", "total-blocking-time"];
  const shown = times.map((id) => `${audits[id].title} ${audits[id].displayValue}`);
  console.log(`${name}: ${scores.join(", ")}\n  ${shown.join(", ")}`);
  isEnough &&= Object.values(categories).every(({ score }) => score * 100 >= LEAST);
}
process.exitCode = isEnough ? 0 : 1;
