//! Why the proxy refused or failed: one code per cause.

use std::fmt;

use http::StatusCode;

/// Makes the enum and its tables from one line per cause: variant, code, status, sentence, and what
/// usually helps.
macro_rules! reasons {
    ($($variant:ident = $code:literal, $status:ident, $message:literal $(, $fix:literal)?;)+) => {
        /// Why a request was refused, or could not be carried out.
        ///
        /// The code is stable: programs and records may rely on it.
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $(#[doc = concat!("`", $code, "`: ", $message, ".")] $variant,)+
            /// A reason of the embedding program, whose code this is, in kebab case.
            Custom(&'static str),
        }

        impl Reason {
            /// Every reason of the proxy's own, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the code, in kebab case.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)+
                    Self::Custom(code) => code,
                }
            }

            /// Returns the status of the answer.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self {
                    $(Self::$variant => StatusCode::$status,)+
                    Self::Custom(_) => StatusCode::FORBIDDEN,
                }
            }

            /// Returns what happened, as a lower-case fragment.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self {
                    $(Self::$variant => $message,)+
                    Self::Custom(_) => "the request is refused",
                }
            }

            /// Returns what usually helps.
            #[must_use]
            pub const fn usual_fix(self) -> Option<&'static str> {
                match self {
                    $($(Self::$variant => Some($fix),)?)+
                    _ => None,
                }
            }
        }
    };
}

reasons! {
    // Who asks.
    ProxyAuth = "proxy-auth", PROXY_AUTHENTICATION_REQUIRED, "the run token is missing or wrong",
        "use the proxy URL of the run's environment";
    TooManyAttempts = "too-many-attempts", TOO_MANY_REQUESTS, "too many wrong run tokens came from this address",
        "use the proxy URL of the run's environment";
    TooManyConnections = "too-many-connections", SERVICE_UNAVAILABLE, "the listener has as many connections as it may have",
        "close connections that are not in use";
    RunStopped = "run-stopped", SERVICE_UNAVAILABLE, "the run has ended";
    TooManyTunnels = "too-many-tunnels", SERVICE_UNAVAILABLE, "the run has as many tunnels as it may have",
        "close connections that are not in use";

    // What the request is.
    BadRequest = "bad-request", BAD_REQUEST, "the request is malformed";
    AuthorityMalformed = "authority-malformed", BAD_REQUEST, "the request names no valid host";
    UserInfo = "user-info", BAD_REQUEST, "the authority holds user information";
    HostMissing = "host-missing", BAD_REQUEST, "the request says no host";
    HostRepeated = "host-repeated", BAD_REQUEST, "the request has several Host headers";
    SchemeNotHttps = "scheme-not-https", BAD_REQUEST, "the request in the tunnel is not for https";
    AuthorityMismatch = "authority-mismatch", MISDIRECTED_REQUEST, "the request is for another host than the tunnel";
    SniMismatch = "sni-mismatch", MISDIRECTED_REQUEST, "the handshake is for another host than the tunnel";
    NoSuchEndpoint = "no-such-endpoint", NOT_FOUND, "the proxy itself has nothing at this path";
    PathMalformed = "path-malformed", BAD_REQUEST, "the path is malformed";
    PathAmbiguous = "path-ambiguous", BAD_REQUEST, "servers may read the path in several ways, and a rule depends on which",
        "send the path without dot segments, encoded slashes, backslashes, ; and //";
    QueryAmbiguous = "query-ambiguous", BAD_REQUEST, "the query can be read in two ways, and only one of them authenticates",
        "separate the parts of the query by & and encode ; as %3B";
    MethodAmbiguous = "method-ambiguous", BAD_REQUEST, "the query may override the method, and a rule depends on it";
    MethodRefused = "method-refused", METHOD_NOT_ALLOWED, "no request with this method is carried out";
    UpgradeRefused = "upgrade-refused", BAD_REQUEST, "the connection cannot switch to this protocol",
        "switch to WebSocket only";
    NotTls = "not-tls", BAD_REQUEST, "the host's traffic is intercepted, and this is not TLS";
    ClientTls = "client-tls", BAD_REQUEST, "the client did not complete the TLS handshake",
        "have the client trust the run's certificate authority";
    ClientAborted = "client-aborted", BAD_REQUEST, "the client went away before the end";

    // What the policy says.
    Denied = "denied", FORBIDDEN, "an entry of the policy denies this";
    HostNotAllowed = "host-not-allowed", FORBIDDEN, "the run may not reach this host and port";
    RequestNotAllowed = "request-not-allowed", FORBIDDEN, "the run may reach this host, but not with this request";

    // Where the name leads.
    MetadataAddress = "metadata-address", FORBIDDEN, "the address is a cloud's metadata service, which no run may reach";
    LinkLocalAddress = "link-local-address", FORBIDDEN, "the address is link-local, which no run may reach";
    MulticastAddress = "multicast-address", FORBIDDEN, "the address is multicast, which no run may reach";
    BroadcastAddress = "broadcast-address", FORBIDDEN, "the address is broadcast, which no run may reach";
    UnspecifiedAddress = "unspecified-address", FORBIDDEN, "the address is unspecified, which no run may reach";
    ProxyAddress = "proxy-address", FORBIDDEN, "the address is the proxy's own, which no run may reach";
    LocalAddress = "local-address", FORBIDDEN, "the address is this machine, which has a name of its own for runs";
    LocalServiceNotAllowed = "local-service-not-allowed", FORBIDDEN, "the run may not reach this port of this machine";
    PrivateAddress = "private-address", FORBIDDEN, "the address is in a private network that was not opened";
    ReservedAddress = "reserved-address", FORBIDDEN, "the address is in a reserved range that was not opened";

    // What the rules say.
    MixedCredentials = "mixed-credentials", BAD_REQUEST, "the request carries several credentials that do not belong together",
        "send the placeholder alone, or no credential at all";
    StalePlaceholder = "stale-placeholder", UNAUTHORIZED, "the request carries a placeholder that does not belong to this run",
        "read the credential from this run's environment and files again";
    ClientCredential = "client-credential", FORBIDDEN, "the request carries a credential of its own, which a strict run does not let pass",
        "send the placeholder or no credential, or start the run in permissive mode";
    IssuingEndpoint = "issuing-endpoint", FORBIDDEN, "the endpoint issues credentials or access that would outlive the run",
        "no flag of a run helps: do this at the vendor's site, outside of the sandbox, and grant what comes of it";
    UnreadableGraphql = "unreadable-graphql", FORBIDDEN, "the GraphQL operation cannot be read, and some operations here issue access",
        "send the text of the operation, as JSON and without compression";
    BodyTooLong = "body-too-long", PAYLOAD_TOO_LARGE, "the body is longer than what may be held to look for a placeholder or to sign",
        "send a smaller body";
    CompressedBody = "compressed-body", UNSUPPORTED_MEDIA_TYPE, "the body is compressed, and a rule has to read it",
        "send the body without Content-Encoding";
    DuplicateKey = "duplicate-key", BAD_REQUEST, "the JSON body names a key twice where a placeholder is replaced",
        "name each key once";
    BadSignature = "bad-signature", FORBIDDEN, "the request was not signed with the key that this run was given",
        "sign with the key from the run's environment or files";
    UnsupportedSignature = "unsupported-signature", BAD_REQUEST, "the request is signed in a way that the provider does not know",
        "use another version of the signature";
    SigningRefused = "signing-refused", FORBIDDEN, "the grant does not sign this request",
        "ask for what the grant is for";
    SigningFailed = "signing-failed", BAD_GATEWAY, "the request could not be signed",
        "look at the host's log";
    NotReady = "not-ready", GATEWAY_TIMEOUT, "what the request needs was not there in time",
        "look at the host's log";
    UnfitSecret = "unfit-secret", BAD_GATEWAY, "the secret has characters that cannot stand where the rule puts it",
        "grant the credential again";

    // What became of the answer.
    UnreadableAnswer = "unreadable-answer", BAD_GATEWAY, "the answer issues a credential in a form that cannot be kept from the container",
        "do this outside of the sandbox";
    AnswerTooLong = "answer-too-long", BAD_GATEWAY, "the answer issues a credential and is too long to be held",
        "do this outside of the sandbox";
    TransformFailed = "transform-failed", BAD_GATEWAY, "the provider could not change the answer",
        "look at the host's log";
    SecretInCompressedAnswer = "secret-in-compressed-answer", BAD_GATEWAY, "a secret stands in a compressed answer, where it cannot be masked";
    SecretInCompressedMessage = "secret-in-compressed-message", BAD_GATEWAY, "a secret stands in a compressed WebSocket message, where it cannot be masked";
    UndecodableAnswer = "undecodable-answer", BAD_GATEWAY, "the answer is not in the coding that it names, or needs more memory than is allowed";
    AnswerExpandsTooFar = "answer-expands-too-far", BAD_GATEWAY, "the answer became far longer when it was decoded than compression explains";
    MalformedWebSocketFrame = "malformed-websocket-frame", BAD_GATEWAY, "the host sent what is no WebSocket frame, or one of an extension that was not agreed upon";
    UnscannableExtension = "unscannable-extension", BAD_GATEWAY, "the host chose a WebSocket extension that cannot be scanned";
    Revoked = "credential-revoked", BAD_GATEWAY, "the credential was revoked while it was in use";

    // What failed on the way to the host.
    NameNotFound = "name-not-found", BAD_GATEWAY, "the name has no address";
    NameLookupFailed = "name-lookup-failed", BAD_GATEWAY, "the name could not be looked up";
    ConnectionRefused = "connection-refused", BAD_GATEWAY, "the host refused the connection";
    Unreachable = "unreachable", BAD_GATEWAY, "the host cannot be reached";
    ConnectTimeout = "connect-timeout", GATEWAY_TIMEOUT, "there was no connection to the host in time";
    TlsVerify = "tls-verify", BAD_GATEWAY, "the host's certificate does not verify",
        "name the host's certificate authority with --upstream-ca";
    TlsHandshake = "tls-handshake", BAD_GATEWAY, "the TLS handshake with the host failed";
    UpstreamProxy = "upstream-proxy", BAD_GATEWAY, "the upstream proxy failed";
    UpstreamReset = "upstream-reset", BAD_GATEWAY, "the host closed the connection before the end";
    UpstreamProtocol = "upstream-protocol", BAD_GATEWAY, "the host broke the protocol";
    UpstreamTimeout = "upstream-timeout", GATEWAY_TIMEOUT, "the host did not begin to answer in time";
    IdleTimeout = "idle-timeout", GATEWAY_TIMEOUT, "nothing passed through the tunnel for too long";
    Internal = "internal", INTERNAL_SERVER_ERROR, "the proxy has a fault";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_and_in_kebab_case() {
        let codes: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for code in codes {
            assert!(
                code.split('-')
                    .all(|word| !word.is_empty()
                        && word.bytes().all(|byte| byte.is_ascii_lowercase()))
            );
        }
    }

    #[test]
    fn every_reason_refuses() {
        for reason in Reason::ALL {
            let status = reason.status();
            assert!(status.is_client_error() || status.is_server_error(), "{reason}");
        }
    }
}
