//! What requests, answers and frames are called in errors.

use keyline_protocol::frame::Kind;
use keyline_protocol::message::{Request, Response};

pub(super) const fn request(request: &Request<'_>) -> &'static str {
    match request {
        Request::Hello { .. } => "Hello",
        Request::Identify => "Identify",
        Request::PublicKey => "PublicKey",
        Request::OpenSession { .. } => "OpenSession",
        Request::AuthenticateSession => "AuthenticateSession",
        Request::GenerateKey { .. } => "GenerateKey",
        Request::ImportKey { .. } => "ImportKey",
        Request::CommitKey { .. } => "CommitKey",
        Request::ProvePossession { .. } => "ProvePossession",
        Request::Inject { .. } => "Inject",
        Request::Prove { .. } => "Prove",
        Request::Seal => "Seal",
        Request::Lock => "Lock",
        Request::AuthorityNonce => "AuthorityNonce",
        Request::Authorise { .. } => "Authorise",
        Request::EraseIdentity => "EraseIdentity",
        Request::Reset => "Reset",
    }
}

pub(super) const fn answer(response: &Response<'_>) -> &'static str {
    match response {
        Response::Hello { .. } => "Hello",
        Response::Refused(_) => "Refused",
        Response::Identity(_) => "Identity",
        Response::PublicKey { .. } => "PublicKey",
        Response::SessionOpened { .. } => "SessionOpened",
        Response::Signature { .. } => "Signature",
        Response::Injected(_) => "Injected",
        Response::Proof { .. } => "Proof",
        Response::AuthorityNonce { .. } => "AuthorityNonce",
        Response::Done => "Done",
    }
}

pub(super) const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Request => "a request",
        Kind::SealedRequest => "a sealed request",
        Kind::Response => "an answer in the clear",
        Kind::SealedResponse => "an answer in the session",
        Kind::Busy => "a busy frame",
        Kind::Rejected => "a rejection",
    }
}
