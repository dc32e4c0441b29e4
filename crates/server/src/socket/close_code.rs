//! The codes with which the service closes sockets: those of RFC 6455, section 7.4.1, and of the
//! protocol `graphql-transport-ws`.

macro_rules! close_codes {
    ($($(#[doc = $meaning:literal])* $number:literal $name:ident, $client:literal;)*) => {
        /// A close code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum CloseCode {
            $($(#[doc = $meaning])* $name = $number,)*
        }

        impl CloseCode {
            /// Every code, with what it means and what a client does about it.
            pub(crate) const ALL: &[(Self, &str, &str)] =
                &[$((Self::$name, concat!($($meaning),*), $client),)*];

            /// Its number in a close frame.
            pub(crate) const fn number(self) -> u16 {
                self as u16
            }
        }
    };
}

close_codes! {
    /// The service stops.
    1001 GoingAway, "reconnects";
    /// A message is not UTF-8.
    1007 InvalidPayload, "has to be fixed";
    /// The rest of a message did not arrive within `--body-timeout`.
    1008 PolicyViolation, "reconnects";
    /// A message is longer than `--max-body`, or more than 16 KiB arrived before `connection_init`.
    1009 MessageTooBig, "sends less";
    /// An internal error, which is in the log.
    1011 InternalError, "reconnects";
    /// The service is busy or cannot verify the token now, or the organization has too many sockets or too much in memory.
    1013 TryAgainLater, "reconnects after a pause";
    /// A message violates the protocol, or the user has to name an organization.
    4400 BadRequest, "has to be fixed";
    /// An operation before `connection_init`.
    4401 Unauthorized, "has to be fixed";
    /// The token is missing, invalid or expired, or the membership or the organization has ended.
    4403 Forbidden, "reconnects with a new token";
    /// Another subprotocol.
    4406 SubprotocolNotAcceptable, "has to be fixed";
    /// No `connection_init` within 10 seconds.
    4408 InitialisationTimeout, "reconnects";
    /// The ID of an operation is in use.
    4409 SubscriberAlreadyExists, "has to be fixed";
    /// A second `connection_init`.
    4429 TooManyInitialisationRequests, "has to be fixed";
}
