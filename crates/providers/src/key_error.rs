//! What is wrong with keys.

use crate::bounds::MAX_KEY;

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is empty.
    #[error("This must not be blank.")]
    Blank,
    /// It is longer than any provider's key.
    #[error("This has more than {MAX_KEY} bytes.")]
    Long,
    /// The provider's webhooks have no key.
    #[error("Webhooks of this provider have no keys.")]
    NotAllowed,
    /// It is not in base64.
    #[error("This is not a key in base64. Copy it again, without quotation marks.")]
    NotBase64,
    /// A private key was given.
    #[error("This is a private key. The webhook needs the public key.")]
    Private,
    /// It is not a public key in the form of `SubjectPublicKeyInfo`.
    #[error("This is not a public key (SubjectPublicKeyInfo, as base64 or PEM).")]
    NotPublicKey,
    /// It is a public key of another kind.
    #[error(
        "This is a public key of another kind. The provider signs with ECDSA on the curve P-256."
    )]
    NotP256,
    /// It is a public key of another kind.
    #[error("This is a public key of another kind. The provider signs with RSA.")]
    NotRsa,
    /// It is an RSA key of an unusual size.
    #[error("This RSA key is too small or too large. It must have 1,024 to 8,192 bits.")]
    RsaSize,
    /// It is a public key that is not valid.
    #[error("This public key is not valid: its point is not on the curve.")]
    NotOnCurve,
    /// A secret with white space or control characters.
    #[error(
        "Keys of this provider consist of visible ASCII characters. This has others, such as a space."
    )]
    NotASecret,
    /// A secret that can be guessed.
    #[error("This is too short for a key. It must have at least {0} characters.")]
    Short(usize),
    /// A secret of the Standard Webhooks specification of an unusual size.
    #[error("After `whsec_`, this must be 16 to 128 bytes in base64.")]
    SecretSize,
    /// A private key of the Standard Webhooks specification.
    #[error("This is a private key. The webhook needs the one that starts with `whpk_`.")]
    PrivateWebhookKey,
    /// The scheme was given with the credentials.
    #[error("Leave out the scheme: this must be `user:password` or a token.")]
    WithScheme,
    /// A user without a password, or the reverse.
    #[error("This must have a user before the first colon, and a password after it.")]
    HalfCredentials,
    /// A token with characters that no token has.
    #[error(
        "A token has ASCII letters, digits and -._~+/= only. With a user, this must be `user:password`."
    )]
    NotAToken,
}
