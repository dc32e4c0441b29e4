// Runs a program of this folder beside a service in development mode, on demo data of its own:
//
//   node beside.mjs PATH/TO/campaigns pages.mjs
//
// The program has the printed links in DASHBOARD and GRAPHIQL, and a member's token in MEMBER. With YIELDING, the
// service and the program have a lower priority than the browser, which runs on another machine in production.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const [service, program] = process.argv.slice(2);
const directory = mkdtempSync(join(tmpdir(), "campaigns-"));
const serving = spawn(resolve(service), ["--listen", "127.0.0.1:0"], {
  cwd: directory,
  stdio: ["ignore", "pipe", "inherit"],
});
if (process.env.YIELDING) {
  yieldSession(19);
  // restores the priority of the terminal that the session may belong to
  process.once("exit", () => yieldSession(0));
  process.once("SIGINT", () => process.exit(130));
}
const found = {};
for await (const line of createInterface({ input: serving.stdout })) {
  const [, label, value] = line.match(/^ *(member|Dashboard|GraphiQL) +(\S+)$/) ?? [];
  if (label) found[label.toUpperCase()] = value;
  if (label === "GraphiQL") break;
}
const running = spawn(process.execPath, [program], {
  stdio: "inherit",
  env: { ...process.env, ...found },
});
const [code] = await once(running, "exit");
serving.kill();
await once(serving, "exit");
rmSync(directory, { recursive: true });
process.exit(code ?? 1);

/**
 * Sets the priority of this session's processes against other sessions, such as the browser's. Linux shares the
 * processors among sessions first (sched(7), autogroup): a process' own priority counts within its session alone.
 */
function yieldSession(nice) {
  try {
    writeFileSync("/proc/self/autogroup", String(nice));
  } catch (error) {
    console.error(`the browser has no priority over the service: ${error.message}`);
  }
}
