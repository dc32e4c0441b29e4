import {
  createContext,
  type ReactNode,
  Suspense,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import { Provider } from "urql";
import { graphql } from "../../__generated__";
import type { WhoQuery } from "../../__generated__/graphql";
import { useStableQuery } from "../ui/query";
import { lazily } from "../ui/lazily";
import { Failed, Loading } from "../ui/states";
import { connect } from "./client";
import { keepRenewed, renew, signOut as signOutEverywhere } from "./issuer";
import { offer } from "./link";
import { SignIn } from "./sign-in";
import { share } from "./tabs";
import { endedBecause, keep, token, tokenStore } from "./token";

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

/** The current session. */
export function useSession(): SignedIn {
  const session = useContext(Context);
  if (session === null) throw new Error("useSession requires a Session");
  return session;
}

// lazy, because it is rarely shown
const Replace = lazily(() => import("./replace"), ({ Replace }) => Replace);

/** Shows its children to signed-in users, and the sign-in page otherwise. */
export function Session({ children }: { children: ReactNode }) {
  const offered = useSyncExternalStore(offer.subscribe, offer.get);
  // another tab may sign in or out
  const isSignedIn = useSyncExternalStore(tokenStore.subscribe, () => tokenStore.get() !== null);
  // a renewed token keeps the session, and a token after none starts a new one
  const [held, setHeld] = useState(token);
  if (isSignedIn !== (held !== null)) setHeld(token());
  const session = useMemo(() => {
    const signOut = (why?: string) => {
      void signOutEverywhere(why ?? null);
    };
    const client = held === null ? null : connect(signOut);
    return { signOut, client };
  }, [held]);
  const before = useRef(session);
  useEffect(() => {
    if (before.current === session) return;
    before.current.client?.end();
    before.current = session;
  }, [session]);

  if (session.client === null) {
    const signIn = (text: string) => {
      keep(text);
      share();
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

const NONE = {};
/** The longest delay of a browser timer. */
const LONGEST_TIMER = 2 ** 31 - 1;

function Viewer({ signOut, children }: { signOut: SignedIn["signOut"]; children: ReactNode }) {
  const { shown, error, reload: renewed } = useStableQuery({ query: Who, variables: NONE });
  const viewer = shown?.data.viewer;
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
  if (error) return <Failed error={error} onRetry={renewed} />;
  return (
    <>
      <header className="first">campaigns</header>
      <Loading />
    </>
  );
}
