// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice The terms of a sum in any order, eight to a group of three words of memory, in lanes of 32 bits: two factors of
///         the magnitude, and sign (bit 31) and exponent (bits 0 to 8). A term is ±factor·factor·2^(exponent - 300); one that
///         is zero has the exponent 511.
struct TermList {
    /// Where in memory the first group lies, and where the last ends.
    uint256 start;
    uint256 end;
    uint256 count;
    /// Lane by lane, of the terms that are not zero: the largest exponent, and by how much the smallest is below 511.
    uint256 highest;
    uint256 lowest;
    /// Not zero where some operand is not finite.
    uint256 special;
}

/// @notice A sum in units of 2^(unit - 298) (docs/court.md, 5, step 4).
struct WindowSum {
    uint256 unit;
    /// A: off by at most `lost`.
    int256 total;
    /// M': at least the sum of the magnitudes.
    uint256 magnitude;
    /// D: terms of which bits were cut off.
    uint256 lost;
}

/// @title Turns packed float32 numbers into terms, and adds terms up in one 256-bit word
/// @dev Every product of two float32 numbers is a whole multiple of 2^-298. A number of exponent field f is
///      m·2^(max(f, 1) - 150), so the exponents of a product add up to max(f, 1) + max(f', 1), counted from 2^-300; that of a
///      number alone is max(f, 1) + 150. All that can be is done for eight lanes at once; no lane reaches into the next,
///      as each step below leaves it below 2^32. Operands are read eight numbers at a time: what lies behind the last in
///      its word must be zero, as the ABI's padding is.
library Terms {
    uint256 private constant WINDOW = 144;
    /// @dev 2^-298, in exponents of terms.
    uint256 private constant GRID = 2;

    uint256 private constant ODD_BYTES = 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
    uint256 private constant ODD_PAIRS = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
    uint256 private constant ONES = 0x0000000100000001000000010000000100000001000000010000000100000001;
    uint256 private constant SIGNS = 0x8000000080000000800000008000000080000000800000008000000080000000;
    uint256 private constant FRACTIONS = 0x007fffff007fffff007fffff007fffff007fffff007fffff007fffff007fffff;
    uint256 private constant BYTES = 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff;
    uint256 private constant EXPONENTS = 0x000001ff000001ff000001ff000001ff000001ff000001ff000001ff000001ff;
    uint256 private constant SIGNIFICANDS = 0x00ffffff00ffffff00ffffff00ffffff00ffffff00ffffff00ffffff00ffffff;
    uint256 private constant HALF_TOPS = 0x8000800080008000800080008000800080008000800080008000800080008000;
    uint256 private constant LANE = 0xffffffff;
    uint256 private constant GROUP_BYTES = 96;

    /// @notice A product for each pair of numbers. There is room for one more group.
    /// @dev Lane by lane the same as `_loaded`, `_specials`, `_decoded`, `_present` and `_larger` say one by one, without
    ///      the calls: a claim may have thousands of taps. The largest exponents and what the smallest are below 511 are
    ///      kept as lanes of 16 bits in one word.
    function products(bytes calldata a, bytes calldata b) internal pure returns (TermList memory list) {
        _reserve(list, a.length);
        (uint256 target, uint256 end, uint256 extremes, uint256 special) = (list.start, list.end, 0, 0);
        // Memory-safe: within what was reserved.
        assembly ("memory-safe") {
            let source := a.offset
            let apart := sub(b.offset, source)
            for {} lt(target, end) { target := add(target, GROUP_BYTES) } {
                let x := calldataload(source)
                let y := calldataload(add(source, apart))
                source := add(source, 0x20)
                x := or(and(shr(8, x), ODD_BYTES), shl(8, and(x, ODD_BYTES)))
                x := or(and(shr(16, x), ODD_PAIRS), shl(16, and(x, ODD_PAIRS)))
                y := or(and(shr(8, y), ODD_BYTES), shl(8, and(y, ODD_BYTES)))
                y := or(and(shr(16, y), ODD_PAIRS), shl(16, and(y, ODD_PAIRS)))
                let signs := and(xor(x, y), SIGNS)

                // Significands, and max(f, 1) of both added up. Bit 8 of a field plus one is set where it was all ones.
                let fields := and(shr(23, x), BYTES)
                let normal := and(shr(8, add(fields, BYTES)), ONES)
                x := or(and(x, FRACTIONS), shl(23, normal))
                let ahead := add(fields, ONES)
                special := or(special, ahead)
                let exponents := sub(ahead, normal)
                fields := and(shr(23, y), BYTES)
                normal := and(shr(8, add(fields, BYTES)), ONES)
                y := or(and(y, FRACTIONS), shl(23, normal))
                ahead := add(fields, ONES)
                special := or(special, ahead)
                exponents := add(exponents, sub(ahead, normal))

                // Where neither factor is zero.
                let present := and(shr(24, and(add(x, SIGNIFICANDS), add(y, SIGNIFICANDS))), ONES)
                let both := and(or(exponents, shl(16, xor(exponents, EXPONENTS))), mul(present, 0x01ff01ff))
                let kept := and(sub(or(extremes, HALF_TOPS), both), HALF_TOPS)
                extremes := xor(both, and(xor(extremes, both), sub(kept, shr(15, kept))))

                mstore(target, x)
                mstore(add(target, 0x20), y)
                mstore(add(target, 0x40), or(or(exponents, sub(EXPONENTS, mul(present, 0x1ff))), signs))
            }
        }
        list.highest = extremes & EXPONENTS;
        list.lowest = (extremes >> 16) & EXPONENTS;
        list.special = special & (ONES << 8);
    }

    /// @notice A term for each number. There is room for one more group.
    function numbers(bytes calldata a) internal pure returns (TermList memory list) {
        _reserve(list, a.length);
        uint256 target = list.start;
        unchecked {
            for (uint256 offset; target < list.end; offset += 32) {
                _storeNumbers(list, target, _loaded(a, offset));
                target += GROUP_BYTES;
            }
        }
    }

    /// @notice Appends one number, given by its bits. Once.
    function add(TermList memory list, uint256 bits) internal pure {
        _storeNumbers(list, list.end, bits << 224);
        list.end += GROUP_BYTES;
        ++list.count;
    }

    /// @notice Adds up; the bits below the window are cut off toward zero.
    /// @dev |A| and M' are below 2^216, as 2^23 terms have at most 48 + 144 bits each.
    function sum(TermList memory list) internal pure returns (WindowSum memory result) {
        unchecked {
            uint256 highest = _largestLane(list.highest);
            uint256 lowest = 0x1ff - _largestLane(list.lowest);
            uint256 unit = highest > WINDOW + GRID ? highest - WINDOW : GRID;
            result.unit = unit - GRID;
            (uint256 magnitude, uint256 negative, uint256 lost) =
                lowest < unit ? _cutTotal(list, unit) : _total(list, unit);
            result.total = int256(magnitude) - 2 * int256(negative);
            result.magnitude = magnitude + lost;
            result.lost = lost;
        }
    }

    // ---- lanes

    /// @dev Eight numbers with their bytes in order, the first in the highest lane.
    function _loaded(bytes calldata data, uint256 offset) private pure returns (uint256 x) {
        assembly ("memory-safe") {
            x := calldataload(add(data.offset, offset))
        }
        x = ((x >> 8) & ODD_BYTES) | ((x & ODD_BYTES) << 8);
        x = ((x >> 16) & ODD_PAIRS) | ((x & ODD_PAIRS) << 16);
    }

    /// @dev Not zero where a number is NaN or infinite.
    function _specials(uint256 x) private pure returns (uint256) {
        unchecked {
            return (((x >> 23) & BYTES) + ONES) & (ONES << 8);
        }
    }

    /// @dev Significands, and max(f, 1).
    function _decoded(uint256 x) private pure returns (uint256 significands, uint256 exponents) {
        unchecked {
            uint256 fields = (x >> 23) & BYTES;
            uint256 normal = ((fields + BYTES) >> 8) & ONES;
            significands = (x & FRACTIONS) | (normal << 23);
            exponents = fields + (ONES ^ normal);
        }
    }

    /// @dev All bits of an exponent where neither factor is zero: 2^24 - 1 more than a significand is then at least 2^24.
    function _present(uint256 factor, uint256 other) private pure returns (uint256) {
        unchecked {
            return ((((factor + SIGNIFICANDS) & (other + SIGNIFICANDS)) >> 24) & ONES) * 0x1ff;
        }
    }

    function _storeNumbers(TermList memory list, uint256 target, uint256 x) private pure {
        (uint256 factor, uint256 exponents) = _decoded(x);
        unchecked {
            exponents += ONES * 150;
            uint256 mask = _present(factor, ONES);
            list.special |= _specials(x);
            list.highest = _larger(list.highest, exponents & mask);
            list.lowest = _larger(list.lowest, (EXPONENTS ^ exponents) & mask);
            exponents |= EXPONENTS ^ mask;
        }
        _store(target, factor, ONES, exponents | (x & SIGNS));
    }

    function _store(uint256 target, uint256 factor, uint256 other, uint256 signedExponents) private pure {
        // Memory-safe: within what was reserved.
        assembly ("memory-safe") {
            mstore(target, factor)
            mstore(add(target, 0x20), other)
            mstore(add(target, 0x40), signedExponents)
        }
    }

    /// @dev The larger of two numbers below 2^31, lane by lane.
    function _larger(uint256 a, uint256 b) private pure returns (uint256) {
        unchecked {
            // Bit 31 of a lane stays where a is not less than b; 2^31 - 1 more fills the bits below it.
            uint256 kept = ((a | SIGNS) - b) & SIGNS;
            uint256 mask = kept - (kept >> 31);
            return b ^ ((a ^ b) & mask);
        }
    }

    function _largestLane(uint256 lanes) private pure returns (uint256) {
        for (uint256 width = 128; width >= 32; width >>= 1) {
            lanes = _larger(lanes, lanes >> width);
        }
        return lanes & LANE;
    }

    // ---- sums

    /// @dev No bits are cut off: no lane has an exponent below the unit, and none of a term that is not zero has one more
    ///      than 144 above it. Signs are bytes of 0 or 2^7, by which `negative` is too large until the end: below 2^223.
    function _total(TermList memory list, uint256 unit)
        private
        pure
        returns (uint256 magnitude, uint256 negative, uint256)
    {
        uint256 from = list.start;
        uint256 end = list.end;
        uint256 units;
        unchecked {
            units = ONES * unit;
        }
        // Lane by lane and without a loop: a claim may have thousands of taps.
        assembly ("memory-safe") {
            for {} lt(from, end) { from := add(from, GROUP_BYTES) } {
                let x := mload(from)
                let y := mload(add(from, 0x20))
                let z := sub(mload(add(from, 0x40)), units)
                let t := shl(byte(3, z), mul(shr(224, x), shr(224, y)))
                magnitude := add(magnitude, t)
                negative := add(negative, mul(t, byte(0, z)))
                t := shl(byte(7, z), mul(and(shr(192, x), LANE), and(shr(192, y), LANE)))
                magnitude := add(magnitude, t)
                negative := add(negative, mul(t, byte(4, z)))
                t := shl(byte(11, z), mul(and(shr(160, x), LANE), and(shr(160, y), LANE)))
                magnitude := add(magnitude, t)
                negative := add(negative, mul(t, byte(8, z)))
                t := shl(byte(15, z), mul(and(shr(128, x), LANE), and(shr(128, y), LANE)))
                magnitude := add(magnitude, t)
                negative := add(negative, mul(t, byte(12, z)))
                t := shl(byte(19, z), mul(and(shr(96, x), LANE), and(shr(96, y), LANE)))
                magnitude := add(magnitude, t)
                negative := add(negative, mul(t, byte(16, z)))
                t := shl(byte(23, z), mul(and(shr(64, x), LANE), and(shr(64, y), LANE)))
                magnitude := add(magnitude, t)
                negative := add(negative, mul(t, byte(20, z)))
                t := shl(byte(27, z), mul(and(shr(32, x), LANE), and(shr(32, y), LANE)))
                magnitude := add(magnitude, t)
                negative := add(negative, mul(t, byte(24, z)))
                t := shl(byte(31, z), mul(and(x, LANE), and(y, LANE)))
                magnitude := add(magnitude, t)
                negative := add(negative, mul(t, byte(28, z)))
            }
        }
        return (magnitude, negative >> 7, 0);
    }

    /// @dev The same where some terms reach below the unit.
    function _cutTotal(TermList memory list, uint256 unit)
        private
        pure
        returns (uint256 magnitude, uint256 negative, uint256 lost)
    {
        uint256 from = list.start;
        uint256 end = list.end;
        assembly ("memory-safe") {
            for {} lt(from, end) { from := add(from, GROUP_BYTES) } {
                let x := mload(from)
                let y := mload(add(from, 0x20))
                let z := mload(add(from, 0x40))
                for { let lanes := 8 } lanes { lanes := sub(lanes, 1) } {
                    let p := mul(and(x, LANE), and(y, LANE))
                    let q := and(z, 0x1ff)
                    let t := or(shl(sub(q, unit), p), shr(sub(unit, q), p))
                    magnitude := add(magnitude, t)
                    negative := add(negative, mul(t, and(shr(31, z), 1)))
                    lost := add(lost, and(lt(q, unit), gt(p, 0)))
                    x := shr(32, x)
                    y := shr(32, y)
                    z := shr(32, z)
                }
            }
        }
    }

    /// @dev Room for the groups, and one more.
    function _reserve(TermList memory list, uint256 length) private pure {
        // slither-disable-next-line divide-before-multiply (whole groups)
        uint256 bytes_ = (length + 31) / 32 * GROUP_BYTES;
        uint256 start;
        assembly ("memory-safe") {
            start := mload(0x40)
            mstore(0x40, add(add(start, bytes_), GROUP_BYTES))
        }
        (list.count, list.start, list.end) = (length / 4, start, start + bytes_);
    }
}
