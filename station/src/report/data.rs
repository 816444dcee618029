//! The data in a page: where it stands, and how it is written.

use super::{FORMAT, FORMATS, Report, ReportError};

/// What stands before the data.
pub(super) const DATA_BEGIN: &str = "<script type=\"application/json\" id=\"keyline-report\">";

/// What stands after it.
const DATA_END: &str = "</script>";

/// The data as JSON that can stand in a page: without `<` it can't end its element or begin a comment, and in plain ASCII nothing in it
/// is hidden from who looks at the source.
pub(super) fn write(report: &Report) -> Result<String, ReportError> {
    let text = serde_json::to_string(report).map_err(ReportError::Data)?;
    let mut written = String::with_capacity(text.len());
    // Outside of strings JSON has neither.
    for found in text.chars() {
        if found == '<' || !found.is_ascii() {
            let units = found.encode_utf16(&mut [0; 2]).to_vec();
            written.extend(units.iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            written.push(found);
        }
    }
    Ok(written)
}

/// Reads the data of a page. Nothing of it is verified.
pub(super) fn read(page: &str) -> Result<Report, String> {
    let format = FORMATS
        .iter()
        .find(|(_, begin)| page.starts_with(begin))
        .map(|(format, _)| *format)
        .ok_or_else(|| format!("expected a page that begins as {FORMAT} does"))?;
    let data = page
        .split_once(DATA_BEGIN)
        .and_then(|(_, rest)| rest.split_once(DATA_END))
        .map(|(data, _)| data)
        .ok_or("expected the data of a report in the page, found none")?;
    let report: Report = serde_json::from_str(data).map_err(|error| error.to_string())?;
    if report.format == format {
        Ok(report)
    } else {
        Err(format!(
            "expected the format {format:?}, got {:?}",
            report.format
        ))
    }
}

/// Bytes as base64.
pub(super) mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(in super::super) fn serialize<S: Serializer>(
        bytes: impl AsRef<[u8]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(bytes))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>, B: TryFrom<Vec<u8>>>(
        deserializer: D,
    ) -> Result<B, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = BASE64.decode(&text).ok();
        bytes
            .and_then(|bytes| B::try_from(bytes).ok())
            .ok_or_else(|| D::Error::custom(format!("expected bytes in base64, got {text:?}")))
    }
}
