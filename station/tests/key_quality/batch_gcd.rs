//! Which of many moduli share a factor with another one: D. J. Bernstein's batch method ("How to find the smooth parts of integers",
//! 2004; used on keys by Heninger et al., "Mining Your Ps and Qs", USENIX Security 2012, 3.2).

use num_bigint::BigUint;
use num_integer::Integer as _;

/// The places of the moduli that have a factor in common with another one. A modulus that stands twice counts as well.
pub(crate) fn sharing(moduli: &[BigUint]) -> Vec<usize> {
    let tree = product_tree(moduli);
    let mut remainders = tree.last().cloned().unwrap_or_default();
    for level in tree.iter().rev().skip(1) {
        remainders = level
            .iter()
            .enumerate()
            .map(|(index, node)| &remainders[index / 2] % (node * node))
            .collect();
    }
    let one = BigUint::from(1_u32);
    moduli
        .iter()
        .zip(&remainders)
        .enumerate()
        .filter(|(_, (modulus, remainder))| (*remainder / *modulus).gcd(modulus) != one)
        .map(|(index, _)| index)
        .collect()
}

/// The moduli, the products of two neighbours, of two of these, and so on up to the product of all.
fn product_tree(moduli: &[BigUint]) -> Vec<Vec<BigUint>> {
    let mut tree = vec![moduli.to_vec()];
    while let Some(level) = tree.last().filter(|level| level.len() > 1) {
        let products = level.chunks(2).map(|pair| pair.iter().product()).collect();
        tree.push(products);
    }
    tree
}

#[test]
fn planted_factors_are_found_and_nothing_else() {
    // Products of two primes each, in an odd number that fills no level evenly.
    let primes: Vec<u32> = (10_007_u32..20_000)
        .filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0))
        .take(46)
        .collect();
    let mut moduli: Vec<BigUint> = primes
        .chunks(2)
        .map(|pair| BigUint::from(pair[0]) * pair[1])
        .collect();
    assert_eq!(sharing(&moduli), [] as [usize; 0]);
    moduli[21] = BigUint::from(primes[6]) * primes[42];
    assert_eq!(sharing(&moduli), [3, 21]);
    moduli[10] = moduli[17].clone();
    assert_eq!(sharing(&moduli), [3, 10, 17, 21]);
}
