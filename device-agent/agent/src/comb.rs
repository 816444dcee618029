//! Multiples of P-256's base point by a comb: about a quarter of the work that the library's general multiplication does.
//!
//! A signed comb (M. Hamburg, "Fast and compact elliptic-curve cryptography", 2012, 3.3) of 7 teeth, 37 columns apart. A scalar is
//! written as 259 digits of +1 or −1, so no digit is zero, no column needs the identity, and half a table suffices: entry `j` is
//! `2^(37·6)·G ± … ± 2^37·G ± G`, with a plus for tooth `t` where bit `t` of `j` is set. 37 doublings and 37 additions replace the
//! library's 256 and 71. The table stands in flash as coordinates and costs no RAM: an entry becomes a point when it is needed.
//!
//! Everything takes the same time for every scalar: each selection reads the whole table, and the group's formulas are complete.

use p256::elliptic_curve::point::AffineCoordinates;
use p256::elliptic_curve::{Group, PrimeField};
use p256::{AffinePoint, FieldBytes, ProjectivePoint, Scalar};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::{Zeroize, Zeroizing};

const TEETH: usize = 7;
const COLUMNS: usize = 37;
const DIGITS: usize = TEETH * COLUMNS;
const ENTRIES: usize = 1 << (TEETH - 1);

/// The bits of an entry's number.
const ENTRY_MASK: u8 = 0x3f;

const _: () = assert!(
    ENTRY_MASK as usize == ENTRIES - 1,
    "six signs number an entry"
);

/// x and y, big-endian, of one entry after the other. A test computes them again with the library.
static TABLE: [[u32; 16]; ENTRIES] = words(include_bytes!("comb_table.bin"));

/// The table in words, so that a selection reads a word at a time.
const fn words(bytes: &[u8; ENTRIES * 64]) -> [[u32; 16]; ENTRIES] {
    let mut table = [[0; 16]; ENTRIES];
    let mut index = 0;
    while index < ENTRIES * 16 {
        let at = index * 4;
        table[index / 16][index % 16] =
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        index += 1;
    }
    table
}

/// `scalar` times the base point.
pub(crate) fn multiply(scalar: &Scalar) -> ProjectivePoint {
    let digits = Digits::of(scalar);
    let mut product = ProjectivePoint::IDENTITY;
    for column in (0..COLUMNS).rev() {
        product = product.double();
        product += &select(&digits, column);
    }
    product
}

/// The signs of a scalar's digits: a set bit is a plus, the last byte holds the lowest.
struct Digits(Zeroizing<FieldBytes>);

impl Digits {
    /// The bits `B` for which the digits `2·b − 1` add up to the scalar: `2·B − (2^259 − 1) = scalar`, modulo the group's order.
    fn of(scalar: &Scalar) -> Self {
        let mut power = Scalar::ONE;
        for _ in 0..DIGITS {
            power = power.double();
        }
        let mut bits = (*scalar + power - Scalar::ONE) * Scalar::TWO_INV;
        let digits = Self(Zeroizing::new(bits.to_repr()));
        bits.zeroize();
        digits
    }

    /// One digit's sign; the digits above the scalar's 256 bits are all minus.
    fn sign(&self, digit: usize) -> u8 {
        self.0
            .iter()
            .rev()
            .nth(digit / 8)
            .map_or(0, |byte| byte >> (digit % 8) & 1)
    }
}

/// The sum of one column's teeth.
fn select(digits: &Digits, column: usize) -> AffinePoint {
    let mut index = 0;
    for tooth in 0..TEETH - 1 {
        index |= digits.sign(tooth * COLUMNS + column) << tooth;
    }
    // Where the top tooth is negative, the entry with every sign turned is taken and negated.
    let negative = Choice::from(1 ^ digits.sign((TEETH - 1) * COLUMNS + column));
    let turned = !index & ENTRY_MASK;
    let index = u8::conditional_select(&index, &turned, negative);

    let mut entry = Zeroizing::new([0_u32; 16]);
    for (number, candidate) in (0_u8..).zip(&TABLE) {
        let mask = u32::from(number.ct_eq(&index).unwrap_u8()).wrapping_neg();
        for (word, from) in entry.iter_mut().zip(candidate) {
            *word |= from & mask;
        }
    }
    let point = decode(&entry);
    AffinePoint::conditional_select(&point, &-point, negative)
}

fn decode(entry: &[u32; 16]) -> AffinePoint {
    let mut coordinates = [FieldBytes::default(); 2];
    for (bytes, word) in coordinates
        .iter_mut()
        .flat_map(|coordinate| coordinate.chunks_exact_mut(4))
        .zip(entry)
    {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    let [x, y] = &coordinates;
    // Every entry is on the curve, so the other branch is never taken; it is here because the library checks.
    AffinePoint::from_coordinates(x, y).unwrap_or(AffinePoint::IDENTITY)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use p256::elliptic_curve::ops::Reduce;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_is_what_the_library_computes() {
        let mut teeth = [ProjectivePoint::GENERATOR; TEETH];
        for tooth in 1..TEETH {
            teeth[tooth] = (0..COLUMNS).fold(teeth[tooth - 1], |point, _| point.double());
        }
        for (index, entry) in TABLE.iter().enumerate() {
            let mut sum = teeth[TEETH - 1];
            for (tooth, point) in teeth[..TEETH - 1].iter().enumerate() {
                sum += if index >> tooth & 1 == 1 {
                    *point
                } else {
                    -*point
                };
            }
            assert_eq!(decode(entry), sum.to_affine(), "entry {index}");
        }
    }

    #[test]
    fn the_edges_of_the_scalars_are_right() {
        let order_minus_one = -Scalar::ONE;
        let mut scalars = std::vec![Scalar::ZERO, Scalar::ONE, order_minus_one, Scalar::TWO_INV];
        let mut power = Scalar::ONE;
        for _ in 0..256 {
            scalars.push(power);
            scalars.push(power - Scalar::ONE);
            power = power.double();
        }
        for scalar in scalars {
            assert_eq!(
                multiply(&scalar),
                ProjectivePoint::GENERATOR * scalar,
                "{scalar:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_multiple_is_the_librarys(bytes in any::<[u8; 32]>()) {
            let scalar = Scalar::reduce(&FieldBytes::from(bytes));
            prop_assert_eq!(multiply(&scalar), ProjectivePoint::GENERATOR * scalar);
        }
    }
}
