import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Link,
  redirect,
} from "@tanstack/react-router";
import { base } from "./base";
import { Overview } from "./overview/page";
import { Frame } from "./ui/frame";
import { Empty, Loading } from "./ui/states";
import { campaignSearch, contactsSearch, feedSearch, overviewSearch, segmentsSearch } from "./search";

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
  // the page that most people open first
  component: Overview,
});

// the overview lists all campaigns
const campaigns = createRoute({
  getParentRoute: () => root,
  path: "/campaigns",
  beforeLoad: () => {
    throw redirect({ to: "/" });
  },
});

const campaign = createRoute({
  getParentRoute: () => root,
  path: "/campaigns/$id",
  validateSearch: campaignSearch,
  component: lazyRouteComponent(() => import("./campaign/page"), "CampaignPage"),
});

const segments = createRoute({
  getParentRoute: () => root,
  path: "/segments",
  validateSearch: segmentsSearch,
  component: lazyRouteComponent(() => import("./segments/page"), "Segments"),
});

const segment = createRoute({
  getParentRoute: () => root,
  path: "/segments/$id",
  component: lazyRouteComponent(() => import("./segments/editor"), "SegmentPage"),
});

const contacts = createRoute({
  getParentRoute: () => root,
  path: "/contacts",
  validateSearch: contactsSearch,
  component: lazyRouteComponent(() => import("./contacts/page"), "Contacts"),
});

const contact = createRoute({
  getParentRoute: () => root,
  path: "/contacts/$id",
  component: lazyRouteComponent(() => import("./contacts/contact"), "ContactPage"),
});

const live = createRoute({
  getParentRoute: () => root,
  path: "/live",
  validateSearch: feedSearch,
  component: lazyRouteComponent(() => import("./live/page"), "Live"),
});

export const router = createRouter({
  basepath: base,
  routeTree: root.addChildren([overview, campaigns, campaign, segments, segment, contacts, contact, live]),
  defaultPreload: "intent",
  defaultPendingComponent: () => <Loading />,
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
