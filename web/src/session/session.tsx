import {
  createContext,
  lazy,
  type ReactNode,
  Suspense,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useState,
  useSyncExternalStore,
} from "react";
import { Provider, useQuery } from "urql";
import { graphql } from "../../__generated__";
import type { WhoQuery } from "../../__generated__/graphql";
import { Failed, Loading } from "../ui/states";
import { connect } from "./client";
import { keepRenewed, renew, signOut as signOutEverywhere } from "./issuer";
import { offer } from "./link";
import { SignIn } from "./sign-in";
import { endedBecause, keep, token } from "./token";

const Who = graphql(`
  query Who {
    viewer {
      subject
      isAdmin
      role
      expiresAt
      organization { id name }
      user { fullName email }
    }
  }
`);

/** The viewer, and a way to end the session. */
export interface SignedIn {
  viewer: WhoQuery["viewer"];
  signOut: (why?: string) => void;
}

const Context = createContext<SignedIn | null>(null);

/** Who is signed in. */
export function useSession(): SignedIn {
  const session = useContext(Context);
  if (session === null) throw new Error("a page is inside of a session");
  return session;
}

// few readers ever see it
const Replace = lazy(() => import("./replace").then(({ Replace }) => ({ default: Replace })));

/** Shows what is inside of it to readers who are signed in, and the sign-in page to all others. */
export function Session({ children }: { children: ReactNode }) {
  const offered = useSyncExternalStore(offer.subscribe, offer.get);
  const [held, setHeld] = useState(token);
  const session = useMemo(() => {
    const signOut = (why?: string) => {
      client?.end();
      void signOutEverywhere(why ?? null);
      setHeld(null);
    };
    const client = held === null ? null : connect(signOut);
    return { signOut, client };
  }, [held]);

  if (session.client === null) {
    const signIn = (text: string) => {
      keep(text);
      setHeld(token());
    };
    return <SignIn why={endedBecause()} onToken={signIn} />;
  }
  return (
    <Provider value={session.client.urql} key={held}>
      <Viewer signOut={session.signOut}>{children}</Viewer>
      {offered && (
        <Suspense>
          <Replace offer={offered} />
        </Suspense>
      )}
    </Provider>
  );
}

/** The longest time that a timer of browsers can be set to. */
const LONGEST_TIMER = 2 ** 31 - 1;

function Viewer({ signOut, children }: { signOut: SignedIn["signOut"]; children: ReactNode }) {
  const [{ data, error, fetching }, again] = useQuery({ query: Who });
  const viewer = data?.viewer;
  const renewed = useCallback(() => again({ requestPolicy: "network-only" }), [again]);
  useEffect(() => keepRenewed(renewed), [renewed]);
  useEffect(() => {
    if (viewer === undefined) return;
    let timer: ReturnType<typeof setTimeout>;
    const wait = () => {
      const left = new Date(viewer.expiresAt).getTime() - Date.now();
      if (left > 0) timer = setTimeout(wait, Math.min(left, LONGEST_TIMER));
      else void end();
    };
    const end = async () => {
      if (await renew()) renewed();
      else signOut("Your session has ended because its token expired. Sign in again to continue.");
    };
    wait();
    return () => clearTimeout(timer);
  }, [viewer, signOut, renewed]);
  const session = useMemo(() => viewer && { viewer, signOut }, [viewer, signOut]);
  if (session) return <Context value={session}>{children}</Context>;
  if (error && !fetching) {
    return <Failed error={error} onRetry={() => again({ requestPolicy: "network-only" })} />;
  }
  return (
    <>
      <header className="first">campaigns</header>
      <Loading />
    </>
  );
}
