//! The debug ports against a bus of 2 KiB of memory at 0x20000000.

use super::*;

const BASE: u32 = 0x2000_0000;

/// Memory that counts how often it is asked.
struct Memory {
    bytes: Vec<u8>,
    calls: usize,
}

impl Memory {
    fn new() -> Self {
        Self {
            bytes: vec![0; 2048],
            calls: 0,
        }
    }

    fn place(&self, address: u32, length: usize) -> Result<std::ops::Range<usize>, BusError> {
        let start = address.checked_sub(BASE).ok_or(BusError::Refused)? as usize;
        let range = start..start + length;
        (range.end <= self.bytes.len())
            .then_some(range)
            .ok_or(BusError::Refused)
    }
}

impl Bus for Memory {
    fn read(&mut self, address: u32, size: u32) -> Result<u32, BusError> {
        self.calls += 1;
        let range = self.place(address, size as usize)?;
        let bytes = self.bytes[range].iter().rev();
        Ok(bytes.fold(0, |word, byte| word << 8 | u32::from(*byte)))
    }

    fn write(&mut self, address: u32, size: u32, value: u32) -> Result<(), BusError> {
        self.calls += 1;
        let range = self.place(address, size as usize)?;
        self.bytes[range].copy_from_slice(&value.to_le_bytes()[..size as usize]);
        Ok(())
    }

    fn uniform(&self, address: u32, words: u32) -> bool {
        self.place(address, words as usize * 4).is_ok()
    }

    fn read_words(&mut self, address: u32, words: &mut [u32]) -> Result<(), BusError> {
        self.calls += 1;
        for (place, word) in (address..).step_by(4).zip(words) {
            let range = self.place(place, 4)?;
            *word = u32::from_le_bytes(self.bytes[range].try_into().unwrap());
        }
        Ok(())
    }

    fn write_words(&mut self, address: u32, words: &[u32]) -> Result<(), BusError> {
        self.calls += 1;
        for (place, word) in (address..).step_by(4).zip(words) {
            let range = self.place(place, 4)?;
            self.bytes[range].copy_from_slice(&word.to_le_bytes());
        }
        Ok(())
    }
}

struct Bench {
    port: DebugPort,
    memory: Memory,
    counters: Counters,
}

impl Bench {
    fn new() -> Self {
        Self {
            port: DebugPort::new(&ChipModel::nrf51822_xxaa()),
            memory: Memory::new(),
            counters: Counters::default(),
        }
    }

    /// Powered up, word accesses with increment, at this address.
    fn at(address: u32) -> Self {
        let mut bench = Self::new();
        let answers = bench.execute(&[
            Transfer::WritePort(DP_CONTROL, POWER_REQUESTS),
            Transfer::WriteAccess(AP_CONTROL, 0x2300_0012),
            Transfer::WriteAccess(AP_ADDRESS, address),
        ]);
        assert_eq!(answers, [Answer::Done; 3]);
        bench
    }

    fn execute(&mut self, transfers: &[Transfer]) -> Vec<Answer> {
        let mut answers = Vec::new();
        let counters = &mut self.counters;
        self.port
            .execute(transfers, &mut self.memory, counters, &mut answers);
        answers
    }
}

#[test]
fn the_access_port_needs_power() {
    let mut bench = Bench::new();
    let answers = bench.execute(&[Transfer::ReadPort(0), Transfer::ReadAccess(AP_CONTROL)]);
    assert_eq!(answers, [Answer::Data(0x0BB1_1477), Answer::Fault]);
}

#[test]
fn reads_are_posted_and_a_block_is_one_access() {
    let mut bench = Bench::at(BASE);
    let writes: Vec<_> = (1..=4).map(|n| Transfer::WriteAccess(AP_DATA, n)).collect();
    assert_eq!(bench.execute(&writes), [Answer::Done; 4]);
    bench.execute(&[Transfer::WriteAccess(AP_ADDRESS, BASE)]);
    let mut reads = vec![Transfer::ReadAccess(AP_DATA); 4];
    reads.push(Transfer::ReadPort(DP_READ_BUFFER));
    let answers = bench.execute(&reads);
    assert_eq!(answers[1..], [1, 2, 3, 4].map(Answer::Data));
    assert_eq!(bench.memory.calls, 2);
    assert_eq!(
        (bench.counters.words_written, bench.counters.words_read),
        (4, 4)
    );
}

#[test]
fn the_address_wraps_inside_a_kibibyte() {
    let mut bench = Bench::at(BASE + 1020);
    bench.execute(&[7, 8, 9].map(|word| Transfer::WriteAccess(AP_DATA, word)));
    assert_eq!(bench.memory.bytes[1020..1024], [7, 0, 0, 0]);
    assert_eq!(bench.memory.bytes[..8], [8, 0, 0, 0, 9, 0, 0, 0]);
    assert_eq!(bench.memory.bytes[1024..1028], [0; 4]);
}

#[test]
fn bytes_travel_in_their_own_lane() {
    let mut bench = Bench::at(BASE + 3);
    bench.execute(&[
        Transfer::WriteAccess(AP_CONTROL, 0x2300_0010),
        Transfer::WriteAccess(AP_DATA, 0xAB00_0000),
    ]);
    assert_eq!(bench.memory.bytes[..5], [0, 0, 0, 0xAB, 0]);
    bench.execute(&[Transfer::WriteAccess(AP_ADDRESS, BASE + 3)]);
    let answers = bench.execute(&[
        Transfer::ReadAccess(AP_DATA),
        Transfer::ReadPort(DP_READ_BUFFER),
    ]);
    assert_eq!(answers[1], Answer::Data(0xAB00_0000));
}

#[test]
fn a_bus_error_shows_at_the_next_transfer_and_ends_the_message() {
    let mut bench = Bench::at(0x3000_0000);
    let answers = bench.execute(&[
        Transfer::WriteAccess(AP_DATA, 1),
        Transfer::WriteAccess(AP_DATA, 2),
        Transfer::WriteAccess(AP_DATA, 3),
    ]);
    assert_eq!(answers, [Answer::Done, Answer::Fault]);
    let answers = bench.execute(&[Transfer::ReadPort(DP_READ_BUFFER)]);
    assert_eq!(answers, [Answer::Fault]);
    let answers = bench.execute(&[
        Transfer::ReadPort(DP_CONTROL),
        Transfer::WritePort(DP_ABORT_OR_ID, ABORT_CLEAR_ERROR),
        Transfer::ReadAccess(AP_CONTROL),
    ]);
    assert_eq!(answers[0], Answer::Data(0xF000_0020));
    assert_eq!(answers.len(), 3);
    assert!(matches!(answers[2], Answer::Data(_)));
}

#[test]
fn an_access_port_that_is_not_there_reads_as_zero() {
    let mut bench = Bench::at(BASE);
    let answers = bench.execute(&[
        Transfer::WritePort(DP_SELECT_OR_RESEND, 0x0100_00F0),
        Transfer::ReadAccess(AP_DATA),
        Transfer::ReadPort(DP_READ_BUFFER),
        Transfer::WritePort(DP_SELECT_OR_RESEND, 0x0000_00F0),
        Transfer::ReadAccess(AP_DATA),
        Transfer::ReadPort(DP_READ_BUFFER),
    ]);
    assert_eq!(
        (answers[2], answers[5]),
        (Answer::Data(0), Answer::Data(0x0477_0021))
    );
}
