// A campaign from draft to rates in one terminal: a segment fills its list, a worker starts it, this program
// delivers it to an SMTP server that accepts all mail, and reports the status of each message.
//
//   node campaign.mjs [TOKEN] [URL]        TOKEN and URL can also come from the environment
import { setTimeout as sleep } from "node:timers/promises";
import { createTransport } from "nodemailer";
import { SMTPServer } from "smtp-server";

const [token = process.env.TOKEN, url = process.env.URL ?? "http://127.0.0.1:8080/graphql"] = process.argv.slice(2);
const PAGE = 100;

async function ask(query, variables) {
  const response = await fetch(url, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw Object.assign(new Error(errors[0].message), { code: errors[0].extensions?.code });
  return data;
}

// ---- our own mail server: it accepts every message, and does not know some of the addresses
const received = new Map();
let refused = 0;
const isUnknown = (address) => [...address].reduce((sum, letter) => sum + letter.charCodeAt(0), 0) % 23 === 0;
const server = new SMTPServer({
  authOptional: true,
  disabledCommands: ["STARTTLS"],
  onRcptTo({ address }, _session, done) {
    if (!isUnknown(address)) return done();
    refused++;
    done(Object.assign(new Error("no such mailbox"), { responseCode: 550 }));
  },
  onData(stream, session, done) {
    stream.resume();
    stream.on("end", () => {
      for (const { address } of session.envelope.rcptTo) received.set(address, (received.get(address) ?? 0) + 1);
      done();
    });
  },
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const mail = createTransport({ host: "127.0.0.1", port: server.server.address().port, pool: true, ignoreTLS: true });

// ---- a draft, with all contacts of a segment on its list
const { createSegment } = await ask(
  "mutation($input: CreateSegmentInput!) { createSegment(input: $input) { segment { id } } }",
  { input: { name: "Customers who may be written to", filterRules: { combinator: "and", rules: [
    { field: "type", operator: "=", value: "customer" },
    { field: "email", operator: "notNull" },
    { field: "suppressed", operator: "=", value: false },
  ] } } },
);
const { createCampaign } = await ask(
  "mutation($input: CreateCampaignInput!) { createCampaign(input: $input) { campaign { id status subject body } } }",
  { input: { name: "An example", subject: "Hello!", body: "Have a look: https://example.com/spring" } },
);
const campaign = createCampaign.campaign;
const { addSegmentToList } = await ask(
  "mutation($campaign: ID!, $segment: ID!) { addSegmentToList(campaignId: $campaign, segmentId: $segment) { added } }",
  { campaign: campaign.id, segment: createSegment.segment.id },
);
console.log(`${campaign.status}: ${addSegmentToList.added} contacts on the list`);

// ---- a worker starts it at its time: the service's own in development mode, or `campaigns worker`
const at = new Date(Date.now() + 1_500).toISOString();
await ask("mutation($id: ID!, $at: DateTime!) { scheduleCampaign(id: $id, at: $at) { campaign { id } } }", { id: campaign.id, at });
console.log(`SCHEDULED: for ${at}`);
const look = async () =>
  (await ask(
    "query($id: ID!) { campaign(id: $id) { status sentAt stats { sends queued delivered bounced failed opens clicks deliveryRate openRate clickRate clickToOpenRate bounceRate } } }",
    { id: campaign.id },
  )).campaign;
for (let tries = 0; (await look()).status === "SCHEDULED"; tries++) {
  if (tries === 100) throw new Error("no worker has started the campaign: run `campaigns worker`");
  await sleep(100);
}
console.log(`SENDING: ${(await look()).stats.queued} sends are queued`);

// ---- deliver queued sends, page by page, and report the status of each
async function deliver({ id, contact }) {
  try {
    await mail.sendMail({
      from: "news@example.com", to: contact.email, subject: campaign.subject,
      text: `Dear ${contact.firstName},\n\n${campaign.body}\n`,
    });
    return { id, status: "DELIVERED" };
  } catch (error) {
    // a 5xx response is permanent; anything else means that it could not be sent
    return { id, status: error.responseCode >= 500 ? "BOUNCED" : "FAILED", error: error.message };
  }
}

const delivered = [];
for (let after = null, more = true; more; ) {
  const { sends } = (await ask(
    `query($id: ID!, $after: String) { campaign(id: $id) { sends(first: ${PAGE}, after: $after, filter: { status: { eq: QUEUED } }) {
      nodes { id contact { email firstName } } pageInfo { hasNextPage endCursor } } } }`,
    { id: campaign.id, after },
  )).campaign;
  const reports = await Promise.all(sends.nodes.map(deliver));
  // safe to repeat: a repeated report changes nothing
  await ask("mutation($input: [UpdateSendInput!]!) { updateSends(input: $input) { updated unchanged } }", { input: reports });
  delivered.push(...reports.filter(({ status }) => status === "DELIVERED").map(({ id }) => id));
  ({ hasNextPage: more, endCursor: after } = sends.pageInfo);
}

// ---- some read it, and some of these click
const readers = delivered.filter((_, index) => index % 5 < 2);
const events = readers.flatMap((sendId, index) => [
  { id: crypto.randomUUID(), sendId, type: "OPEN" },
  ...(index % 3 === 0 ? [{ id: crypto.randomUUID(), sendId, type: "CLICK", url: "https://example.com/spring" }] : []),
]);
await ask("mutation($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }", { input: events });

// ---- nothing is queued any more: it has been sent. A worker may have completed it already
try {
  await ask("mutation($id: ID!) { completeCampaign(id: $id) { campaign { id } } }", { id: campaign.id });
} catch (error) {
  if (error.code !== "CONFLICT") throw error;
}
const { status, sentAt, stats } = await look();
console.log(`${status}: at ${sentAt}`);
console.table(stats);

mail.close();
await new Promise((closed) => server.close(closed));
const messages = [...received.values()].reduce((sum, number) => sum + number, 0);
const agrees =
  status === "SENT" && stats.delivered === messages && stats.bounced === refused &&
  stats.opens === readers.length && stats.clicks === events.length - readers.length &&
  [...received.values()].every((number) => number === 1);
console.log(`The mail server received ${messages} messages, one for each address, and refused ${refused}: ${agrees ? "the figures agree" : "the figures differ"}.`);
process.exit(agrees ? 0 : 1);
