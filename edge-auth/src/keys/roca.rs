//! Detects keys of the ROCA generator (CVE-2017-15361): RSA moduli that can be factored, recognisable by a fingerprint.
//!
//! That generator's primes, and so their product, are powers of 65537 modulo every small prime. Any other modulus has
//! this property for all of the primes below by chance about once in 2^27 keys (Nemec et al., "The Return of
//! Coppersmith's Attack", CCS 2017, §2).

/// Small primes modulo which 65537 generates few of the residues.
const PRIMES: [u32; 17] = [
    11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157,
];

/// Whether a big-endian modulus has the fingerprint.
pub(crate) fn is_suspect(modulus: &[u8]) -> bool {
    PRIMES
        .iter()
        .all(|&prime| is_power_of_65537(remainder(modulus, prime), prime))
}

fn remainder(number: &[u8], divisor: u32) -> u32 {
    number.iter().fold(0, |remainder, &octet| {
        (remainder * 256 + u32::from(octet)) % divisor
    })
}

fn is_power_of_65537(residue: u32, prime: u32) -> bool {
    let generator = 65_537 % prime;
    let mut power = 1;
    loop {
        if power == residue {
            return true;
        }
        power = power * generator % prime;
        if power == 1 {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_the_generator_have_the_fingerprint() {
        // 65537 itself, and its square.
        assert!(is_suspect(&[1, 0, 1]));
        assert!(is_suspect(&[1, 0, 2, 0, 1]));
        assert!(!is_suspect(&[1, 0, 3]));
        assert!(!is_suspect(&[0xff; 256]));
    }
}
