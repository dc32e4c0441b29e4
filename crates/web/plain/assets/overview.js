import { ask, begin, say } from "./session.js";

const PAGE = `query Overview($after: String) {
  viewer { organization { name } }
  stats { sends delivered openRate clickRate bounceRate complaintRate }
  campaigns(first: 50, after: $after, orderBy: [{ field: SENT_AT, direction: DESC }]) {
    nodes { name status sentAt stats { sends openRate clickRate bounceRate } }
    pageInfo { hasNextPage endCursor }
  }
}`;

const number = new Intl.NumberFormat();
const percent = new Intl.NumberFormat(undefined, { style: "percent", minimumFractionDigits: 1 });
const day = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const rate = (value) => (value === null ? "–" : percent.format(value / 100));

let after = null;
const more = document.getElementById("more");
more.addEventListener("click", () => load(after));

begin("overview", () => {
  document.getElementById("campaigns").replaceChildren();
  return load(null);
});

async function load(cursor) {
  const { data, errors } = await ask(PAGE, { after: cursor });
  if (!data) {
    if (errors) say(errors[0].message);
    return;
  }
  const { stats, campaigns, viewer } = data;
  document.title = `${viewer.organization.name} · campaigns`;
  document.getElementById("figures").replaceChildren(
    figure("Sends", number.format(stats.sends)),
    figure("Delivered", number.format(stats.delivered)),
    figure("Open rate", rate(stats.openRate)),
    figure("Click rate", rate(stats.clickRate)),
    figure("Bounce rate", rate(stats.bounceRate)),
    figure("Complaint rate", rate(stats.complaintRate)),
  );
  document.getElementById("campaigns").append(...campaigns.nodes.map(row));
  after = campaigns.pageInfo.endCursor;
  more.hidden = !campaigns.pageInfo.hasNextPage;
}

function figure(name, value) {
  const group = document.createElement("div");
  const term = document.createElement("dt");
  const description = document.createElement("dd");
  term.textContent = name;
  description.textContent = value;
  group.append(term, description);
  return group;
}

function row({ name, status, sentAt, stats }) {
  const line = document.createElement("tr");
  const sent = sentAt === null ? "–" : day.format(new Date(sentAt));
  const figures = [
    number.format(stats.sends),
    rate(stats.openRate),
    rate(stats.clickRate),
    rate(stats.bounceRate),
  ];
  for (const text of [name, status.toLowerCase(), sent]) line.insertCell().textContent = text;
  for (const text of figures) {
    const cell = line.insertCell();
    cell.className = "number";
    cell.textContent = text;
  }
  return line;
}
