//! The agent as a program for one chip: two links, one agent, and nothing else.
//!
//! The chip is chosen by a feature. What the program is made of, where it lies and what it needs stands in `images/manifest.json`,
//! which `builder` writes.
#![no_std]
#![no_main]
#![deny(unsafe_code)]

mod chip;
mod link;

use keyline_agent::Agent;

use crate::chip::Chip;
use crate::chip::clock::{Deadline, sleep};
use crate::link::Link;

/// How long the links are watched without a pause after the last byte: a station that has just been answered asks again at once.
const WATCHFUL_MICROSECONDS: u32 = 3_000;

/// How long the core sleeps between two looks at the debugger's buffer, which wakes nobody. (A byte on the serial line does.)
const NAP_MICROSECONDS: u32 = 500;

/// How long a link may pause within a frame before the other one is heard again.
const PAUSE_MICROSECONDS: u32 = 1_000_000;

/// Listens to both links and answers on the one that spoke.
fn run(chip: Chip) -> ! {
    let mut agent = Agent::new(chip);
    loop {
        let Some((link, byte)) = next_byte(None) else {
            continue;
        };
        hear(&mut agent, link, byte);
    }
}

/// Hands the agent a frame that begins with `first` on `link`, to its end or until the link falls silent.
fn hear(agent: &mut Agent<Chip>, link: Link, first: u8) {
    agent.hal_mut().link = link;
    let mut byte = first;
    loop {
        agent.receive(byte);
        if byte == 0 {
            return;
        }
        match next_byte(Some(link)) {
            Some((_, next)) => byte = next,
            // An end that nobody sent: the rest of the frame, should it come, is no part of another link's frame.
            None => byte = 0,
        }
    }
}

/// The next byte of `only` this link, or of any; `None` after a pause.
fn next_byte(only: Option<Link>) -> Option<(Link, u8)> {
    let pause = Deadline::after_microseconds(PAUSE_MICROSECONDS);
    let watchful = Deadline::after_microseconds(WATCHFUL_MICROSECONDS);
    while !pause.is_past() {
        for link in Link::ALL {
            if only.is_none_or(|only| only == link)
                && let Some(byte) = link.receive()
            {
                return Some((link, byte));
            }
        }
        if watchful.is_past() {
            sleep(NAP_MICROSECONDS);
        }
    }
    None
}
