import {
  createRootRoute,
  createRoute,
  createRouter,
  Link,
  redirect,
} from "@tanstack/react-router";
import { base } from "./base";
import { Overview } from "./overview/page";
import { Frame } from "./ui/frame";
import { type Lazy, page } from "./ui/lazily";
import { Broken, Empty, Loading } from "./ui/states";
import { at } from "./views";
import { campaignSearch, contactsSearch, feedSearch, overviewSearch, segmentsSearch } from "./search";

// annotated, since the types of pages and routes depend on each other
const CampaignPage: Lazy<object> = page(() => import("./campaign/page"), ({ CampaignPage }) => CampaignPage);
const Segments: Lazy<object> = page(() => import("./segments/page"), ({ Segments }) => Segments);
const SegmentPage: Lazy<object> = page(() => import("./segments/editor"), ({ SegmentPage }) => SegmentPage);
const Contacts: Lazy<object> = page(() => import("./contacts/page"), ({ Contacts }) => Contacts);
const ContactPage: Lazy<object> = page(() => import("./contacts/contact"), ({ ContactPage }) => ContactPage);
const Providers: Lazy<object> = page(() => import("./providers/page"), ({ Providers }) => Providers);
const WebhookPage: Lazy<object> = page(() => import("./providers/webhook"), ({ WebhookPage }) => WebhookPage);
const Live: Lazy<object> = page(() => import("./live/page"), ({ Live }) => Live);

const root = createRootRoute({
  component: Frame,
  notFoundComponent: () => (
    <Empty title="This page does not exist">
      <Link to="/" className="link">
        Go to the overview
      </Link>
    </Empty>
  ),
});

const overview = createRoute({
  getParentRoute: () => root,
  path: "/",
  validateSearch: overviewSearch,
  // not lazy: usually the first page
  component: Overview,
});

// the overview lists all campaigns
const campaigns = createRoute({
  getParentRoute: () => root,
  path: at("campaigns"),
  beforeLoad: () => {
    throw redirect({ to: "/" });
  },
});

const campaign = createRoute({
  getParentRoute: () => root,
  path: at("campaigns", "/$id"),
  validateSearch: campaignSearch,
  component: CampaignPage,
});

const segments = createRoute({
  getParentRoute: () => root,
  path: at("segments"),
  validateSearch: segmentsSearch,
  component: Segments,
});

const segment = createRoute({
  getParentRoute: () => root,
  path: at("segments", "/$id"),
  component: SegmentPage,
});

const contacts = createRoute({
  getParentRoute: () => root,
  path: at("contacts"),
  validateSearch: contactsSearch,
  component: Contacts,
});

const contact = createRoute({
  getParentRoute: () => root,
  path: at("contacts", "/$id"),
  component: ContactPage,
});

const live = createRoute({
  getParentRoute: () => root,
  path: at("live"),
  validateSearch: feedSearch,
  component: Live,
});

const providers = createRoute({
  getParentRoute: () => root,
  path: at("providers"),
  component: Providers,
});

const webhook = createRoute({
  getParentRoute: () => root,
  path: at("providers", "/$id"),
  component: WebhookPage,
});

export const router = createRouter({
  basepath: base,
  routeTree: root.addChildren([overview, campaigns, campaign, segments, segment, contacts, contact, live, providers, webhook]),
  defaultPreload: "intent",
  defaultPendingComponent: () => <Loading />,
  defaultErrorComponent: ({ reset }) => <Broken onRetry={reset} />,
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
