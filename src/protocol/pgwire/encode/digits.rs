//! Decimal digits of integers, small and wide.

use arrow::datatypes::i256;

/// The two digits of every number below 100.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut number = 0;
    while number < 100 {
        pairs[number] = [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
        number += 1;
    }
    pairs
};

/// A number below 100 as two digits.
pub fn pair(value: u32) -> &'static [u8] {
    &PAIRS[value as usize % 100]
}

/// Writes the digits at the end of the buffer, and returns where they start.
pub fn write_u64(mut value: u64, buffer: &mut [u8; 20]) -> usize {
    let mut start = buffer.len();
    while value >= 100 {
        start -= 2;
        buffer[start..start + 2].copy_from_slice(pair((value % 100) as u32));
        value /= 100;
    }
    if value >= 10 {
        start -= 2;
        buffer[start..start + 2].copy_from_slice(pair(value as u32));
    } else {
        start -= 1;
        buffer[start] = b'0' + value as u8;
    }
    start
}

/// Up to 80 decimal digits; zero is `0`.
pub struct Digits {
    bytes: [u8; 80],
    start: usize,
    end: usize,
}

impl Default for Digits {
    fn default() -> Self {
        Self { bytes: [b'0'; 80], start: 0, end: 0 }
    }
}

impl Digits {
    pub fn of_u128(value: u128) -> Self {
        Self::of(Limbs::of_u128(value))
    }

    /// The digits without the sign.
    pub fn of_i256(value: i256) -> Self {
        Self::of(Limbs::of_i256(value))
    }

    fn of(mut limbs: Limbs) -> Self {
        const CHUNK: usize = 19;
        let mut digits = Self { start: 80, end: 80, ..Self::default() };
        loop {
            let (last, chunk) = match limbs.as_u64() {
                Some(rest) => (true, rest),
                None => (false, limbs.divide(10_u64.pow(CHUNK as u32))),
            };
            let mut buffer = [b'0'; 20];
            let mut from = write_u64(chunk, &mut buffer);
            if !last {
                from = buffer.len() - CHUNK;
            }
            let chunk = &buffer[from..];
            digits.start -= chunk.len();
            digits.bytes[digits.start..digits.start + chunk.len()].copy_from_slice(chunk);
            if last {
                return digits;
            }
        }
    }

    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    pub fn push(&mut self, digit: u8) {
        self.bytes[self.end] = digit;
        self.end += 1;
    }

    pub fn trim_zeros(&mut self) {
        while self.as_slice().last() == Some(&b'0') {
            self.end -= 1;
        }
    }
}

/// An unsigned integer of 320 bits, lowest limb first: 256 bits and room for a factor of 1000.
pub struct Limbs([u64; 5]);

impl Limbs {
    pub fn of_u128(value: u128) -> Self {
        Self([value as u64, (value >> 64) as u64, 0, 0, 0])
    }

    /// The magnitude.
    pub fn of_i256(value: i256) -> Self {
        // Read as unsigned, the negation of the least value is its magnitude.
        let magnitude = if value.is_negative() { value.wrapping_neg() } else { value };
        let (low, high) = magnitude.to_parts();
        let high = high as u128;
        Self([low as u64, (low >> 64) as u64, high as u64, (high >> 64) as u64, 0])
    }

    pub fn as_u64(&self) -> Option<u64> {
        (self.0[1..] == [0; 4]).then_some(self.0[0])
    }

    pub fn multiply(&mut self, factor: u64) {
        let mut carry = 0;
        for limb in &mut self.0 {
            let product = u128::from(*limb) * u128::from(factor) + carry;
            *limb = product as u64;
            carry = product >> 64;
        }
    }

    /// Divides in place and returns the remainder.
    pub fn divide(&mut self, divisor: u64) -> u64 {
        let mut remainder = 0;
        for limb in self.0.iter_mut().rev() {
            let dividend = (u128::from(remainder) << 64) | u128::from(*limb);
            *limb = (dividend / u128::from(divisor)) as u64;
            remainder = (dividend % u128::from(divisor)) as u64;
        }
        remainder
    }
}
