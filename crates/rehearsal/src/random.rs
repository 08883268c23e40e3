//! A seeded random number generator that gives the same numbers on every machine and in every version of this program.

/// The SplitMix64 generator, <https://prng.di.unimi.it/splitmix64.c>: short, and good enough where nothing is secret.
pub struct Seeded(u64);

impl Seeded {
    /// A generator with this seed.
    pub fn new(seed: u64) -> Seeded {
        Seeded(seed)
    }

    /// The next number.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// The next number below this limit, which must not be zero.
    pub fn below(&mut self, end: u64) -> u64 {
        // The limit is far smaller than 2^64, so the bias is negligible.
        self.next() % end
    }

    /// Shuffles a slice.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_always_gives_the_same_numbers() {
        // The first numbers of the reference implementation for the seed 1234567.
        let mut seeded = Seeded::new(1_234_567);
        assert_eq!(seeded.next(), 6_457_827_717_110_365_317);
        assert_eq!(seeded.next(), 3_203_168_211_198_807_973);
        let mut items: Vec<u32> = (0..100).collect();
        Seeded::new(1).shuffle(&mut items);
        let shuffled = items.clone();
        items.sort_unstable();
        assert!(shuffled != items && items == (0..100).collect::<Vec<_>>());
    }
}
