//! Files that are no fleet at all.

use keyline_station::fleet::{FileError, LINE_LENGTH_MAX, RefusalCode};

use x509_cert::der::pem::{LineEnding, encode_string};

use crate::fixture::{csv, device, good, json_key, open, p256, refused, row};

/// The error of a file, when it is opened or read to its end.
fn file_error(content: &[u8]) -> FileError {
    match open(content) {
        Err(error) => error,
        Ok(mut reader) => reader.find_map(Result::err).expect("the file is refused"),
    }
}

#[test]
fn what_is_no_table_of_keys_is_refused_with_words() {
    let utf16: Vec<u8> = "device_id,public_key\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let marked = [&b"\xff\xfe"[..], &utf16].concat();
    let header = "line 1: expected a header with the columns device_id and public_key, got ";
    let in_header = |problem: &str| format!("{header}{problem}");
    for (content, words) in [
        (
            &b""[..],
            "line 1: expected a header or a row, got an empty file".to_owned(),
        ),
        (
            b"device_id,public_key\n",
            "line 1: expected rows, got none".to_owned(),
        ),
        (
            b"device_id,public_key",
            "line 1: expected rows, got none".to_owned(),
        ),
        (
            b"\x1f\x8b\x08\x00rest",
            "line 1: expected text, got a compressed file: gzip".to_owned(),
        ),
        (
            b"PK\x03\x04rest",
            "line 1: expected text, got a compressed file: ZIP (or a spreadsheet)".to_owned(),
        ),
        (
            &marked,
            "line 1: expected UTF-8 text, got UTF-16".to_owned(),
        ),
        (
            &utf16,
            "line 1: expected UTF-8 text, got NUL bytes: UTF-16, or no text at all".to_owned(),
        ),
        (
            b"[{}]\n",
            "line 1: expected one JSON object a line, got a JSON array".to_owned(),
        ),
        (b"device_id\n", in_header("no column public_key")),
        (
            b"device_id,public_key,device_id\n",
            in_header("the column device_id twice"),
        ),
        (
            b"device_id,public_key,colour\n",
            in_header("the unknown column \"colour\""),
        ),
        (
            b"device_id;public_key\n",
            in_header("columns separated by semicolons instead of commas"),
        ),
        (b"\"device_id\n", in_header("a line that is no header")),
    ] {
        let error = file_error(content);
        assert_eq!(error.to_string(), words);
        assert!(!error.next().is_empty());
    }
}

#[test]
fn a_file_without_a_header_does_not_echo_its_keys() {
    let secret = "MHcCAQEEIFpUFAvTFoLGzzzzzzzzzzzzzzzzzzzzzzzz";
    let error = file_error(format!("{secret},{secret}\n").as_bytes());
    assert!(!error.to_string().contains("MHcC"), "{error}");
    assert!(
        error.to_string().contains("a name of 44 characters"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_cut_off_is_refused_at_its_last_row_and_the_rows_before_it_count() {
    let whole = csv(&[row(1, &p256(1)), row(2, &p256(2)), row(3, &p256(3))]);
    let quoted = whole.replace(",M", ",\"M").replace("==\n", "==\"\n");
    let json = [1, 2, 3]
        .map(|n| json_key(n, &hex::encode(p256(n))))
        .concat();
    for (content, cut, line, how) in [
        (&whole, 1, 4, "without an end of the line"),
        (&whole, 40, 4, "without an end of the line"),
        (&quoted, 20, 4, "without an end of the line"),
        (&json, 1, 3, "without an end of the line"),
        (&json, 30, 3, "without an end of the line"),
    ] {
        let content = &content.as_bytes()[..content.len() - cut];
        assert_eq!(good(content), 2);
        let refused = refused(content);
        assert_eq!(refused.len(), 1, "{refused:?}");
        assert_eq!(
            (refused[0].line, refused[0].code),
            (line, RefusalCode::Truncated)
        );
        assert_eq!(
            refused[0].message,
            format!("expected a whole row, the file ends {how}: it is cut off")
        );
    }
    let open = format!(
        "{}{},\"-----BEGIN PUBLIC\nMFk\n",
        csv(&[row(1, &p256(1))]),
        "4b4c"
    );
    let refused = refused(open.as_bytes());
    assert_eq!(
        (refused[0].line, refused[0].code),
        (3, RefusalCode::Truncated)
    );
    assert_eq!(
        refused[0].message,
        "expected a whole row, the file ends inside of quotes: it is cut off"
    );
}

#[test]
fn a_quote_that_is_never_closed_costs_its_own_row_only() {
    let mut lines = vec![format!("4b4c,\"{}\n", "x".repeat(8))];
    lines.extend((1..=200).map(|number| row(number, &p256(number))));
    let few = csv(lines.get(..5).unwrap());
    for (content, rows) in [(csv(&lines), 200), (few, 4)] {
        assert_eq!(good(content.as_bytes()), rows);
        let refused = refused(content.as_bytes());
        assert_eq!(refused.len(), 1);
        assert_eq!((refused[0].line, refused[0].code), (2, RefusalCode::NotCsv));
        assert_eq!(
            refused[0].message,
            "expected a closing quote, got none within the row's bounds"
        );
    }
}

#[test]
fn a_line_that_is_too_long_is_skipped() {
    let long = "x".repeat(3 * LINE_LENGTH_MAX);
    for content in [
        csv(&[row(1, &p256(1)), format!("{long}\n"), row(2, &p256(2))]),
        csv(&[
            row(1, &p256(1)),
            format!("a,\"{long}\"\n"),
            row(2, &p256(2)),
        ]),
        format!(
            "{}{long}\n{}",
            json_key(1, &hex::encode(p256(1))),
            json_key(2, &hex::encode(p256(2)))
        ),
    ] {
        assert_eq!(good(content.as_bytes()), 2);
        let refused = refused(content.as_bytes());
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].code, RefusalCode::RowTooLong);
        assert_eq!(
            refused[0].message,
            "expected a row of at most 65536 bytes, got a longer one"
        );
    }
}

#[test]
fn a_row_of_several_lines_is_truncated_wherever_it_is_cut() {
    let pem = encode_string("PUBLIC KEY", LineEnding::LF, &p256(2)).unwrap();
    let last = format!("{},\"{pem}\"\n", device(2));
    for length in 1..last.len() {
        let content = csv(&[row(1, &p256(1)), last[..length].to_owned()]);
        assert_eq!(good(content.as_bytes()), 1, "{content}");
        let refused = refused(content.as_bytes());
        assert_eq!(refused.len(), 1, "{content}");
        assert_eq!(
            (refused[0].line, refused[0].code),
            (3, RefusalCode::Truncated),
            "{content}"
        );
    }
}
