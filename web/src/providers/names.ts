import type { Provider } from "../../__generated__/graphql";

/** What a provider calls what its `keys` are. */
export interface KeyName {
  label: string;
  hint: string;
}

const PASSWORD: KeyName = {
  label: "Credentials",
  hint: "user:password for basic authentication, or a bearer token. Use a long random password.",
};

/** The name of a provider, and what its keys are. SES has topics instead of keys. */
export const PROVIDERS: Record<Provider, { name: string; key: KeyName | null }> = {
  SES: { name: "Amazon SES", key: null },
  SENDGRID: { name: "SendGrid", key: { label: "Verification key", hint: "The public key that SendGrid shows for signed events." } },
  POSTMARK: { name: "Postmark", key: PASSWORD },
  MAILGUN: {
    name: "Mailgun",
    key: { label: "HTTP webhook signing key", hint: "Under API Security at Mailgun. It is not the API key." },
  },
  RESEND: { name: "Resend", key: { label: "Signing secret", hint: "Starts with whsec_." } },
  BREVO: { name: "Brevo", key: PASSWORD },
  SPARKPOST: { name: "SparkPost", key: PASSWORD },
  MAILJET: { name: "Mailjet", key: PASSWORD },
  MANDRILL: { name: "Mandrill (Mailchimp Transactional)", key: { label: "Webhook key", hint: "Shown in the list of webhooks." } },
  POSTAL: { name: "Postal", key: { label: "Public key", hint: "The installation's key, as PEM or base64." } },
};

/** The steps of the set-up at a provider, in order. */
export const STEPS: Record<Provider, string[]> = {
  SES: [
    "In SNS, create an HTTPS subscription of the topic with the URL, without raw message delivery. It confirms itself.",
    "Set the topic's signature version to 2, and the subscription's delivery policy to 50 retries.",
    "In SES, give the configuration set an event destination with the topic, and select all events.",
    "Send each message with the tag send_id, or the header X-SES-MESSAGE-TAGS: send_id=ID.",
  ],
  SENDGRID: [
    "Under Settings, Mail Settings, Event Webhooks, paste the URL.",
    "Select all deliverability and engagement events.",
    "Turn on Signed Event Webhook. The key is the verification key.",
    "Send each message with the custom argument send_id.",
  ],
  POSTMARK: [
    "In the message stream, under Webhooks, paste the URL and set basic authentication to the credentials under Keys.",
    "Select Delivery, Bounce, Spam complaint, Open, Link click and Subscription change.",
    "Turn off “First open only” and the content of bounces.",
    "Send each message with the metadata send_id.",
  ],
  MAILGUN: [
    "Under Sending, Webhooks, add the URL for each event type.",
    "The key is the HTTP webhook signing key under API Security.",
    "Send each message with v:send_id.",
    "Mailgun does not sign the events themselves. Keep the URL secret.",
  ],
  RESEND: [
    "Under Webhooks, add the URL and select all events that start with email.",
    "The key is the signing secret of the webhook.",
    "Send each message with the tag send_id.",
  ],
  BREVO: [
    "Under Transactional, Settings, Webhook, add the URL and select all events.",
    "Set the authentication to the credentials under Keys.",
    'Send each message with the header X-Mailin-custom: {"send_id":"ID"}.',
  ],
  SPARKPOST: [
    "Under Configuration, Webhooks, add the URL with basic authentication and the credentials under Keys.",
    "Select the message, engagement and unsubscribe events.",
    "Send each message with the recipient's metadata send_id.",
  ],
  MAILJET: [
    "Under Account, Event notifications, add the URL for each event type, with user:password@ after https://.",
    "Group the events.",
    "Send each message with the send's ID as CustomID.",
  ],
  MANDRILL: [
    "Under Settings, Webhooks, add the URL and select all message events.",
    "Mandrill then shows the webhook's key. Replace the key under Keys by it.",
    "Send each message with the metadata send_id.",
  ],
  POSTAL: [
    "In the server's Webhooks, add the URL and select all events.",
    "The key is the public key of the installation.",
    "Send each message with the send's ID as its tag.",
  ],
};
