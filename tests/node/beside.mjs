// Runs a program of this folder beside a service in development mode, on demo data of its own:
//
//   node beside.mjs PATH/TO/campaigns pages.mjs
//
// The program has the printed links in DASHBOARD and GRAPHIQL, and a member's token in MEMBER.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { setPriority, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const [service, program] = process.argv.slice(2);
const directory = mkdtempSync(join(tmpdir(), "campaigns-"));
const serving = spawn(resolve(service), ["--listen", "127.0.0.1:0"], {
  cwd: directory,
  stdio: ["ignore", "pipe", "inherit"],
});
// what the pages do is looked at, and elsewhere they have a machine of their own
if (process.env.YIELDING) setPriority(serving.pid, 10);
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
