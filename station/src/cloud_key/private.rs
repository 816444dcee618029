//! Finds private keys, so that none is ever taken for something else. Looks at the shape only: what is found is never decoded.

/// PEM labels and other text that announces a private key, wherever in the file it stands.
const MARKS: [(&[u8], &str); 9] = [
    (b"-----BEGIN PRIVATE KEY-----", "PKCS #8"),
    (
        b"-----BEGIN ENCRYPTED PRIVATE KEY-----",
        "encrypted PKCS #8",
    ),
    (b"-----BEGIN EC PRIVATE KEY-----", "SEC 1"),
    (b"-----BEGIN RSA PRIVATE KEY-----", "PKCS #1"),
    (b"-----BEGIN DSA PRIVATE KEY-----", "DSA"),
    (b"-----BEGIN OPENSSH PRIVATE KEY-----", "OpenSSH"),
    (b"openssh-key-v1\0", "OpenSSH"),
    (b"PuTTY-User-Key-File", "PuTTY"),
    (b"PRIVATE KEY-----", "PEM"),
];

/// What kind of private key the content is or holds, if it does.
pub(crate) fn find(content: &[u8]) -> Option<&'static str> {
    MARKS
        .iter()
        .find(|(mark, _)| contains(content, mark))
        .map(|(_, kind)| *kind)
        .or_else(|| find_in_der(content))
        .or_else(|| find_in_jwk(content))
}

fn contains(content: &[u8], mark: &[u8]) -> bool {
    content.windows(mark.len()).any(|window| window == mark)
}

/// PKCS #8 (RFC 5958), encrypted PKCS #8 (RFC 5958, 3), SEC 1 (RFC 5915), PKCS #1 (RFC 8017, A.1.2) and PKCS #12 (RFC 7292), by the tags
/// of their first elements; a file that is cut off counts as well.
fn find_in_der(content: &[u8]) -> Option<&'static str> {
    let outer = Element::first(content).filter(|outer| outer.tag == 0x30)?;
    let first = Element::first(outer.content)?;
    let second = Element::first(first.rest)?;
    match (first.tag, first.content, second.tag) {
        (0x02, [0 | 1], 0x30) => Some("PKCS #8"),
        (0x02, [1], 0x04) => Some("SEC 1"),
        (0x02, [0 | 1], 0x02) => Some("PKCS #1"),
        (0x02, [3], 0x30) => Some("PKCS #12"),
        (0x30, _, 0x04) => Some("encrypted PKCS #8"),
        _ => None,
    }
}

/// A JSON Web Key with its private member (RFC 7518, 6.2.2 and 6.3.2).
fn find_in_jwk(content: &[u8]) -> Option<&'static str> {
    let value: serde_json::Value = serde_json::from_slice(content).ok()?;
    value.get("d").map(|_| "JSON Web Key")
}

/// The first DER element of some bytes, taken as far as the bytes go.
pub(crate) struct Element<'a> {
    /// Its tag.
    pub(crate) tag: u8,
    /// How long the element says that it is, its header included.
    pub(crate) total_length: usize,
    /// What it holds, or as much as there is.
    pub(crate) content: &'a [u8],
    /// What follows it.
    pub(crate) rest: &'a [u8],
}

impl<'a> Element<'a> {
    /// `None` where there is no header, or one that no file of this size has (a length of more than three bytes, or indefinite).
    pub(crate) fn first(bytes: &'a [u8]) -> Option<Self> {
        let (&[tag, first], rest) = bytes.split_first_chunk::<2>()?;
        let (header, length) = match first {
            0..=0x7f => (2, usize::from(first)),
            0x81..=0x83 => {
                let count = usize::from(first & 0x7f);
                let digits = rest.get(..count)?;
                let length = digits
                    .iter()
                    .fold(0_usize, |length, digit| length << 8 | usize::from(*digit));
                (2 + count, length)
            }
            _ => return None,
        };
        let body = bytes.get(header..)?;
        let (content, rest) = body.split_at(length.min(body.len()));
        Some(Self {
            tag,
            total_length: header + length,
            content,
            rest,
        })
    }
}
