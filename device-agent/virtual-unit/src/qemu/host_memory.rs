//! The emulator's own copy of the chip's memories, reached through `/proc/PID/mem`.
//!
//! The emulator has no option for the factory information registers, forgets the user information registers at every
//! reset, and loses flash when its process ends. All three are plain arrays in its memory; they are found by what stands
//! in them (never by a fixed offset) while the machine has not started yet.

use std::fs::{File, OpenOptions, read_to_string};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use super::chip::{FLASH_ARRAY_BYTES, UICR_BYTES};
use super::error::UnitError;
use super::retained::Retained;

/// No mapping larger than this is searched: the emulator's translated code lies there, none of the arrays.
const SEARCHED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// While the program writes flash, this many looks are taken for two equal ones.
const LOOKS_MAX: usize = 16;
/// Bytes of the factory information table that are compared.
const FACTORY_TABLE_BYTES: usize = 0x68;

/// Where the arrays are in the emulator's address space.
#[derive(Debug)]
pub(super) struct HostMemory {
    file: File,
    flash: u64,
    user: u64,
    looked: Vec<u8>,
}

/// One line of `/proc/PID/maps`.
struct Mapping {
    start: u64,
    end: u64,
    writable: bool,
    anonymous: bool,
    path: String,
}

fn failed(source: std::io::Error) -> UnitError {
    UnitError::Channel {
        channel: "memory",
        source,
    }
}

impl HostMemory {
    /// Finds flash by the first bytes that were put there, and the user information registers by their first CUSTOMER words.
    pub(super) fn find(
        process: u32,
        flash_mark: [u8; 16],
        user_mark: [u8; 16],
        user_mark_offset: u64,
    ) -> Result<Self, UnitError> {
        let file = open(process)?;
        let mappings = mappings(process)?;
        let flash = mappings
            .iter()
            .filter(|mapping| mapping.writable && mapping.anonymous)
            .find(|mapping| {
                let mut found = [0; 16];
                let whole = mapping.end - mapping.start >= FLASH_ARRAY_BYTES as u64;
                whole
                    && file.read_exact_at(&mut found, mapping.start).is_ok()
                    && found == flash_mark
            })
            .map(|mapping| mapping.start)
            .ok_or_else(|| UnitError::unexpected("memory", "the flash array", "none"))?;
        let user = mappings
            .iter()
            .filter(|mapping| mapping.writable && mapping.path == "[heap]")
            .find_map(|mapping| search(&file, mapping, &user_mark))
            .ok_or_else(|| UnitError::unexpected("memory", "the user registers", "none"))?;
        Ok(Self {
            file,
            flash,
            user: user - user_mark_offset,
            looked: vec![0; FLASH_ARRAY_BYTES],
        })
    }

    /// Puts both memories back; the core must not have run, or must stand still.
    pub(super) fn restore(&self, retained: &Retained) -> Result<(), UnitError> {
        self.file
            .write_all_at(&retained.flash, self.flash)
            .map_err(failed)?;
        self.restore_user(retained)
    }

    /// Puts the user information registers back after a reset.
    pub(super) fn restore_user(&self, retained: &Retained) -> Result<(), UnitError> {
        self.file
            .write_all_at(&retained.user, self.user)
            .map_err(failed)
    }

    /// Looks at both memories while the core may run.
    ///
    /// One look may see a later write and miss an earlier one, which no power cut leaves behind; so it looks until two
    /// looks are equal.
    pub(super) fn look(&mut self, retained: &mut Retained) -> Result<(), UnitError> {
        for _ in 0..LOOKS_MAX {
            self.file
                .read_exact_at(&mut self.looked, self.flash)
                .map_err(failed)?;
            let mut user = [0; UICR_BYTES];
            self.file
                .read_exact_at(&mut user, self.user)
                .map_err(failed)?;
            let same = self.looked == retained.flash && user == retained.user;
            if same {
                break;
            }
            std::mem::swap(&mut self.looked, &mut retained.flash);
            retained.user = user;
        }
        Ok(())
    }
}

/// Writes words of the factory information table, which is a constant of the emulator program.
///
/// The table is found once a process: it stands in the same place of every copy of the program.
pub(super) fn patch_factory_words(process: u32, words: &[(usize, u32)]) -> Result<(), UnitError> {
    static PLACE: OnceLock<(String, u64)> = OnceLock::new();
    let file = open(process)?;
    let mappings = mappings(process)?;
    let known = PLACE.get().and_then(|(path, offset)| {
        let first = mappings.iter().find(|mapping| &mapping.path == path)?;
        Some(first.start + offset)
    });
    let table = match known.filter(|&place| is_factory_table(&file, place)) {
        Some(place) => place,
        None => find_factory_table(&file, &mappings).map(|(path, offset, place)| {
            let _ = PLACE.set((path, offset));
            place
        })?,
    };
    for &(offset, value) in words {
        file.write_all_at(&value.to_le_bytes(), table + offset as u64)
            .map_err(failed)?;
    }
    Ok(())
}

/// The emulator's table begins with four words of ones, then the page size and the number of pages, and has a device id
/// of 3, 0x12345678.
fn is_factory_table(file: &File, place: u64) -> bool {
    let mut table = [0; FACTORY_TABLE_BYTES];
    let word = |offset: usize, table: &[u8]| {
        table[offset..offset + 4]
            .iter()
            .rev()
            .fold(0_u32, |word, &byte| word << 8 | u32::from(byte))
    };
    file.read_exact_at(&mut table, place).is_ok()
        && (word(0x10, &table), word(0x14, &table)) == (0x400, 0x100)
        && (word(0x60, &table), word(0x64, &table)) == (3, 0x1234_5678)
}

/// Finds the table in the read-only data of the emulator: path, offset from that path's first mapping, address.
fn find_factory_table(file: &File, mappings: &[Mapping]) -> Result<(String, u64, u64), UnitError> {
    let mark = [0x00, 0x04, 0, 0, 0x00, 0x01, 0, 0];
    for mapping in mappings
        .iter()
        .filter(|mapping| mapping.path.contains("qemu"))
    {
        let mut from = mapping.start;
        while let Some(place) = search_from(file, mapping, &mark, from) {
            let table = place.saturating_sub(0x10);
            if is_factory_table(file, table) {
                let first = mappings.iter().find(|other| other.path == mapping.path);
                let base = first.map_or(mapping.start, |first| first.start);
                return Ok((mapping.path.clone(), table - base, table));
            }
            from = place + 4;
        }
    }
    Err(UnitError::unexpected("memory", "the factory table", "none"))
}

fn search(file: &File, mapping: &Mapping, mark: &[u8]) -> Option<u64> {
    search_from(file, mapping, mark, mapping.start)
}

/// Finds bytes at a multiple of four.
fn search_from(file: &File, mapping: &Mapping, mark: &[u8], from: u64) -> Option<u64> {
    let length = mapping.end.checked_sub(from)?;
    if length > SEARCHED_BYTES_MAX {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(length).ok()?];
    file.read_exact_at(&mut bytes, from).ok()?;
    (0..bytes.len().saturating_sub(mark.len()))
        .step_by(4)
        .find(|&offset| bytes[offset..].starts_with(mark))
        .map(|offset| from + offset as u64)
}

fn open(process: u32) -> Result<File, UnitError> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(format!("/proc/{process}/mem"))
        .map_err(failed)
}

fn mappings(process: u32) -> Result<Vec<Mapping>, UnitError> {
    let text = read_to_string(format!("/proc/{process}/maps")).map_err(failed)?;
    Ok(text.lines().filter_map(parse_mapping).collect())
}

fn parse_mapping(line: &str) -> Option<Mapping> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let permissions = fields.next()?;
    let path = fields.nth(3).unwrap_or_default().to_owned();
    Some(Mapping {
        start: u64::from_str_radix(start, 16).ok()?,
        end: u64::from_str_radix(end, 16).ok()?,
        writable: permissions.starts_with("rw"),
        anonymous: path.is_empty(),
        path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn understands_the_kernels_lines() {
        let line = "7f1ddee00000-7f1ddee40000 rw-p 00000000 00:00 0 ";
        let mapping = parse_mapping(line).unwrap();
        assert!(mapping.writable && mapping.anonymous);
        assert_eq!(mapping.end - mapping.start, 0x40000);
        let line = "55c71e3000-55c7562000 r--p 00b0a000 fe:00 10199190   /usr/bin/qemu-system-arm";
        let mapping = parse_mapping(line).unwrap();
        assert!(!mapping.writable && !mapping.anonymous);
        assert_eq!(mapping.path, "/usr/bin/qemu-system-arm");
    }
}
