//! CRC-32C over a record's sequence number and its words, each in little-endian order: by the
//! processor's own instruction where it has one, by tables elsewhere. It finds accidents and torn
//! copies, not forgery.
//!
//! `unsafe` is needed to call the instruction; both ways give the same sum (tested).

/// The Castagnoli polynomial, reflected (RFC 3720, appendix B.4).
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// CRC-32C of the sequence number, then the words.
#[inline]
pub fn checksum(sequence: u64, words: &[u64]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("sse4.2") {
        // SAFETY: the processor has the instructions of `by_instruction`, as was just asked (the
        // answer is kept in a static by the standard library).
        return unsafe { by_instruction(sequence, words) };
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("crc") {
        // SAFETY: as above.
        return unsafe { by_instruction(sequence, words) };
    }
    by_table(sequence, words)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse4.2")]
fn by_instruction(sequence: u64, words: &[u64]) -> u32 {
    use std::arch::x86_64::_mm_crc32_u64 as next;
    let begun = next(u64::from(u32::MAX), sequence);
    !low(words.iter().fold(begun, |sum, word| next(sum, *word)))
}

#[cfg(target_arch = "aarch64")]
#[target_feature(enable = "crc")]
fn by_instruction(sequence: u64, words: &[u64]) -> u32 {
    use std::arch::aarch64::__crc32cd as next;
    !words.iter().fold(next(u32::MAX, sequence), |sum, word| next(sum, *word))
}

/// Eight bytes a step: table `i` holds the sums of a byte that `i` zero bytes follow.
fn by_table(sequence: u64, words: &[u64]) -> u32 {
    let next =
        |sum: u32, word: &u64| {
            let bytes = (word ^ u64::from(sum)).to_le_bytes();
            TABLES.iter().rev().zip(bytes).fold(0, |sum, (table, byte)| {
                sum ^ table.get(usize::from(byte)).copied().unwrap_or(0)
            })
        };
    !words.iter().fold(next(u32::MAX, &sequence), next)
}

const fn low(word: u64) -> u32 {
    (word & 0xffff_ffff) as u32
}

static TABLES: [[u32; 256]; 8] = tables();

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, bounded by the loops")]
const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte: u32 = 0;
    while byte < 256 {
        let mut sum = byte;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 };
            bit += 1;
        }
        tables[0][byte as usize] = sum;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = before >> 8 ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// RFC 3720, appendix B.4: 32 bytes of zeros, of ones, counting up.
    #[test]
    fn it_is_the_published_crc_32c() {
        let counting: Vec<u64> = (0..4u64)
            .map(|word| {
                u64::from_le_bytes(std::array::from_fn(|byte| (8 * word) as u8 + byte as u8))
            })
            .collect();
        for (words, sum) in
            [(vec![0; 4], 0x8a91_36aa), (vec![u64::MAX; 4], 0x62a8_ab43), (counting, 0x46dd_794e)]
        {
            let (first, rest) = words.split_first().unwrap();
            assert_eq!(checksum(*first, rest), sum);
            assert_eq!(by_table(*first, rest), sum);
        }
    }

    proptest! {
        #[test]
        fn instruction_and_tables_agree(sequence: u64, words: Vec<u64>) {
            prop_assert_eq!(checksum(sequence, &words), by_table(sequence, &words));
        }
    }
}
