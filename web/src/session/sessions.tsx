import type { Holder, Offer } from "./link";

export const TITLE = "Sign in with this link?";
export const ACCEPT = "Sign in with the link";
export const DECLINE = "Stay signed in";

/** What a reader decides, or why there is nothing to decide. */
export function explained(offer: Offer): string {
  switch (offer.state) {
    case "question":
      return "You are already signed in, and this link has another session. If you do not know where the link comes from, stay signed in.";
    case "refused":
      return "The token in this link is not valid, or it has expired. You are still signed in.";
    case "failed":
      return `The session of this link could not be looked up: ${offer.why}`;
  }
}

/** The session that there is, and the one that the link has. */
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
