//! The checksum of a record: CRC-32C in three lanes, by the processor's own instruction where it has
//! one, by tables elsewhere. It finds accidents and torn copies, not forgery.
//!
//! The instruction gives its result after three cycles and takes a new word in each: one chain over
//! all words would be three times as slow as three that run side by side, on both ends of every
//! hand-over. So word `n` of a record (its sequence number is word 0, the payload follows) belongs to
//! lane `n mod 3`. The checksum is the CRC-32C of lane 2, followed by one more word: the CRC-32C of
//! lane 0 in its low half, that of lane 1 in its high half.
//!
//! `unsafe` is needed for the instruction; both ways give the same sum (tested).

/// The Castagnoli polynomial, reflected (RFC 3720, appendix B.4).
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// A payload of more words is summed from memory, where its copy lies already: to keep it in registers
/// the compiler would store every word a second time, and so many stores wait for their lines
/// that the loads of the record's later lines wait behind them (a whole hand-over, measured).
const IN_REGISTERS_MAX: usize = 12;

/// What a sum begins with. A sum lies in the low half of a word, as the instruction gives it.
const ONES: u64 = 0xffff_ffff;

/// The checksum of a sequence number and the words of its payload. Real time.
///
/// Where the number of words is known to the compiler it becomes as many instructions in a row.
#[inline(always)]
pub fn checksum(sequence: u64, words: &[u64]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("sse4.2") {
        let from_memory = words.len() > IN_REGISTERS_MAX;
        return in_lanes(sequence, words, next_of_x86, |sums, words| {
            if from_memory { three_of_x86(sums, words) } else { each(sums, words, next_of_x86) }
        });
    }
    #[cfg(target_arch = "aarch64")]
    if std::arch::is_aarch64_feature_detected!("crc") {
        let next = |sum, word| {
            // SAFETY: the processor has this instruction, as was just asked.
            u64::from(unsafe { std::arch::aarch64::__crc32cd(low(sum), word) })
        };
        return in_lanes(sequence, words, next, |sums, words| each(sums, words, next));
    }
    by_tables(sequence, words)
}

/// One word into a sum. Only where the processor has the instruction (SSE4.2): asked before.
///
/// Written out, since a function with the intrinsic could not be inlined into one without it.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn next_of_x86(mut sum: u64, word: u64) -> u64 {
    // SAFETY: `checksum` has asked the processor (the answer is kept in a static by the standard
    // library). The instruction changes its first operand, a register, and nothing else.
    unsafe {
        std::arch::asm!("crc32 {}, {}", inout(reg) sum, in(reg) word,
            options(pure, nomem, nostack, preserves_flags));
    }
    sum
}

/// A word of memory into each of three sums; as above.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn three_of_x86([mut one, mut two, mut three]: [u64; 3], words: &[u64; 3]) -> [u64; 3] {
    // SAFETY: as above; the three words that are read are those of the reference.
    unsafe {
        std::arch::asm!(
            "crc32 {one}, qword ptr [{words}]",
            "crc32 {two}, qword ptr [{words} + 8]",
            "crc32 {three}, qword ptr [{words} + 16]",
            one = inout(reg) one, two = inout(reg) two, three = inout(reg) three,
            words = in(reg) words.as_ptr(),
            options(pure, readonly, nostack, preserves_flags));
    }
    [one, two, three]
}

#[cold]
#[inline(never)]
fn by_tables(sequence: u64, words: &[u64]) -> u32 {
    in_lanes(sequence, words, next_by_table, |sums, words| each(sums, words, next_by_table))
}

/// A word into each of three sums, one by one.
#[inline(always)]
fn each(sums: [u64; 3], words: &[u64; 3], next: impl Fn(u64, u64) -> u64) -> [u64; 3] {
    let ([one, two, three], [to_one, to_two, to_three]) = (sums, *words);
    [next(one, to_one), next(two, to_two), next(three, to_three)]
}

/// Three sums side by side, and the sum of them: `next` takes a word into a sum, `three` a word into
/// each of lanes 1, 2 and 0.
#[inline(always)]
fn in_lanes(
    sequence: u64,
    words: &[u64],
    next: impl Fn(u64, u64) -> u64,
    three: impl Fn([u64; 3], &[u64; 3]) -> [u64; 3],
) -> u32 {
    let (threes, last) = words.as_chunks::<3>();
    let mut lanes = [ONES, ONES, next(ONES, sequence)];
    for words in threes {
        lanes = three(lanes, words);
    }
    for (lane, word) in lanes.iter_mut().zip(last) {
        *lane = next(*lane, *word);
    }
    let [first, second, zeroth] = lanes;
    low(!next(second, !(zeroth | first << 32)))
}

/// Eight bytes a step: table `i` holds the sums of a byte that `i` zero bytes follow.
fn next_by_table(sum: u64, word: u64) -> u64 {
    let bytes = (word ^ sum).to_le_bytes();
    TABLES.iter().rev().zip(bytes).fold(0, |sum, (table, byte)| {
        sum ^ u64::from(table.get(usize::from(byte)).copied().unwrap_or(0))
    })
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

    /// CRC-32C of some words, in one chain.
    fn crc_32c(words: &[u64]) -> u32 {
        low(!words.iter().fold(ONES, |sum, word| next_by_table(sum, *word)))
    }

    /// RFC 3720, appendix B.4: 32 bytes of zeros, of ones, counting up.
    #[test]
    fn a_lane_is_the_published_crc_32c() {
        let counting: Vec<u64> = (0..4u64)
            .map(|word| {
                u64::from_le_bytes(std::array::from_fn(|byte| (8 * word) as u8 + byte as u8))
            })
            .collect();
        for (words, sum) in
            [(vec![0; 4], 0x8a91_36aa), (vec![u64::MAX; 4], 0x62a8_ab43), (counting, 0x46dd_794e)]
        {
            assert_eq!(crc_32c(&words), sum);
        }
    }

    #[test]
    fn word_n_belongs_to_lane_n_mod_three() {
        for count in 0..20 {
            let all: Vec<u64> =
                (0..=count).map(|word: u64| word.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
            let lane =
                |lane| crc_32c(&all.iter().copied().skip(lane).step_by(3).collect::<Vec<_>>());
            let mut last: Vec<u64> = all.iter().copied().skip(2).step_by(3).collect();
            last.push(u64::from(lane(0)) | u64::from(lane(1)) << 32);
            assert_eq!(checksum(all[0], &all[1..]), crc_32c(&last));
        }
    }

    proptest! {
        #[test]
        fn instruction_and_tables_agree(sequence: u64, words: Vec<u64>) {
            prop_assert_eq!(checksum(sequence, &words), by_tables(sequence, &words));
        }
    }
}
