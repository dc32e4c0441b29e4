import type { Holder, Offer } from "./link";

export const TITLE = "Sign in with this link?";
export const ACCEPT = "Sign in with the link";
export const DECLINE = "Stay signed in";

/** The explanation of an offer. */
export function explained(offer: Offer): string {
  switch (offer.state) {
    case "question":
      return "You are already signed in, and this link contains a different session. If you do not know where the link comes from, stay signed in.";
    case "refused":
      return "The token in this link is not valid, or it has expired. You are still signed in.";
    case "failed":
      return `Could not look up the session of this link: ${offer.why}`;
  }
}

/** The current session, and that of the link. */
export function Sessions({ offer }: { offer: Offer }) {
  if (offer.state !== "question") return null;
  return (
    <dl className="sessions">
      <dt>Your session</dt>
      <dd>{named(offer.now)}</dd>
      <dt>The session of the link</dt>
      <dd>{named(offer.then)}</dd>
    </dl>
  );
}

function named({ organization, subject, user }: Holder) {
  return (
    <>
      <strong>{organization.name}</strong>
      <br />
      {user?.fullName ? `${user.fullName} (${subject})` : subject}
    </>
  );
}
