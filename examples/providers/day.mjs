// A provider's day in one terminal: creates a SendGrid webhook with a key of its own, and posts the signed events of
// a campaign as SendGrid does: in batches, out of order, with retries and copies, and one that nobody can read.
// Finally compares the figures with what was posted, and deletes the webhook and the campaign.
//
//   node day.mjs [TOKEN] [URL]        TOKEN and URL can also come from the environment
import { generateKeyPairSync, sign } from "node:crypto";

const [token = process.env.TOKEN, url = process.env.URL ?? "http://127.0.0.1:8080/graphql"] = process.argv.slice(2);
const BATCH = 40;

async function ask(query, variables) {
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(errors[0].message);
  return data;
}

// ---- a campaign that is being sent, to contacts that can receive it
const { contacts } = await ask(
  "{ contacts(first: 200, filter: { email: { isNull: false }, suppressed: false }) { nodes { id } } }",
);
const { createCampaign } = await ask(
  "mutation($input: CreateCampaignInput!) { createCampaign(input: $input) { campaign { id } } }",
  { input: { name: "A provider's day", subject: "Hello!", body: "https://example.com/spring" } },
);
const campaign = createCampaign.campaign.id;
await ask(
  "mutation($campaign: ID!, $contacts: [ID!]!) { addContactsToList(campaignId: $campaign, contactIds: $contacts) { added } }",
  { campaign, contacts: contacts.nodes.map(({ id }) => id) },
);
await ask("mutation($id: ID!) { startCampaign(id: $id) { campaign { id } } }", { id: campaign });
const { sends } = (
  await ask("query($id: ID!) { campaign(id: $id) { sends(first: 500) { nodes { id contact { email } } } } }", { id: campaign })
).campaign;

// ---- the webhook, with the public half of a key; SendGrid has the other
const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const { createProviderWebhook } = await ask(
  "mutation($input: CreateProviderWebhookInput!) { createProviderWebhook(input: $input) { providerWebhook { id path } } }",
  {
    input: {
      name: "A provider's day",
      provider: "SENDGRID",
      keys: [publicKey.export({ type: "spki", format: "der" }).toString("base64")],
    },
  },
);
const webhook = createProviderWebhook.providerWebhook;

// ---- what happens during the day
const morning = Math.floor(Date.now() / 1_000) - 8 * 3_600;
const expected = { delivered: 0, bounced: 0, failed: 0, opens: 0, clicks: 0, machineOpens: 0, machineClicks: 0 };
const events = [];
sends.nodes.forEach(({ id, contact }, index) => {
  const happens = (event, seconds, more) =>
    events.push({
      event, email: contact.email, send_id: id, timestamp: morning + 60 * index + seconds,
      sg_message_id: `${id}.filter`, sg_event_id: crypto.randomUUID(), ...more,
    });
  if (index % 50 === 49) {
    happens("dropped", 0, { reason: "Bounced Address" });
    expected.failed++;
    return;
  }
  happens("processed", 0);
  if (index % 20 === 19) {
    happens("bounce", 3, { type: "bounce", status: "5.1.1", reason: "550 5.1.1 no such mailbox", bounce_classification: "Invalid Address" });
    expected.bounced++;
    return;
  }
  if (index % 7 === 6) happens("deferred", 5, { attempt: "1", response: "450 try again" });
  happens("delivered", 30, { response: "250 OK" });
  expected.delivered++;
  if (index % 2 === 0) {
    happens("open", 600, { useragent: "Mozilla/5.0 (Macintosh) Thunderbird/140", ip: "192.0.2.1", sg_machine_open: false });
    expected.opens++;
  }
  if (index % 3 === 0) {
    happens("open", 40, { useragent: "Mozilla/5.0", ip: "192.0.2.2", sg_machine_open: true });
    expected.opens++;
    expected.machineOpens++;
  }
  if (index % 4 === 0) {
    happens("click", 660, { url: "https://example.com/spring", useragent: "Mozilla/5.0 (Macintosh) Thunderbird/140", ip: "192.0.2.1" });
    expected.clicks++;
  }
  if (index % 30 === 10) {
    // a scanner follows every link at once
    for (const page of ["spring", "prices", "imprint"]) {
      happens("click", 31, { url: `https://example.com/${page}`, useragent: "Mozilla/5.0 (Windows NT 10.0)", ip: "192.0.2.3" });
      expected.clicks++;
      expected.machineClicks++;
    }
  }
});

const shuffled = (list) => list.map((item) => [Math.random(), item]).sort(([one], [other]) => one - other).map(([, item]) => item);

// SendGrid ends each event with CR LF, and signs the bytes
async function post(batch) {
  const body = `[${batch.map((event) => JSON.stringify(event)).join(",\r\n")}]\r\n`;
  const timestamp = String(Math.floor(Date.now() / 1_000));
  const response = await fetch(new URL(webhook.path, url), {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "x-twilio-email-event-webhook-timestamp": timestamp,
      "x-twilio-email-event-webhook-signature": sign("sha256", Buffer.from(timestamp + body), privateKey).toString("base64"),
    },
    body,
  });
  return response.status;
}

// in disorder, a fifth of the events a second time under another ID, and one that is no event
const day = shuffled([...events, ...events.filter((_, index) => index % 5 === 0).map((event) => ({ ...event, sg_event_id: crypto.randomUUID() })), 17]);
const batches = [];
for (let start = 0; start < day.length; start += BATCH) batches.push(day.slice(start, start + BATCH));
const again = shuffled([...batches, ...batches.filter((_, index) => index % 4 === 0)]);
let posted = 0;
for (const [index, batch] of again.entries()) {
  const status = await post(batch);
  if (status !== 200) throw new Error(`the webhook answered ${status}`);
  posted += batch.length;
  process.stdout.write(`\rrequest ${index + 1} of ${again.length}: ${posted} events posted `);
}
console.log();

// ---- each event counts once
const { stats } = (
  await ask(
    `query($id: ID!) { campaign(id: $id) { stats { ${Object.keys(expected).join(" ")} openRate humanOpenRate clickRate humanClickRate } } }`,
    { id: campaign },
  )
).campaign;
const { node } = await ask(
  "query($id: ID!) { node(id: $id) { ... on ProviderWebhook { stats { accepted refused recorded repeated ignored unmatched unreadable } } } }",
  { id: webhook.id },
);
console.table(stats);
console.table(node.stats);
const agrees = Object.entries(expected).every(([name, count]) => stats[name] === count) && node.stats.unreadable > 0;
console.log(agrees ? "Each event counts once: the figures agree." : `The figures differ from ${JSON.stringify(expected)}.`);

await ask("mutation($id: ID!) { deleteProviderWebhook(id: $id) { id } }", { id: webhook.id });
process.exit(agrees ? 0 : 1);
