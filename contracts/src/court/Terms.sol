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
    uint256 private constant SIGNS = ONES << 31;
    uint256 private constant FRACTIONS = ONES * 0x7fffff;
    uint256 private constant BYTES = ONES * 0xff;
    uint256 private constant EXPONENTS = ONES * 0x1ff;
    uint256 private constant SIGNIFICANDS = ONES * 0xffffff;
    uint256 private constant LANE = 0xffffffff;
    uint256 private constant GROUP_BYTES = 96;

    /// @notice A product for each pair of numbers. There is room for one more group.
    function products(bytes calldata a, bytes calldata b) internal pure returns (TermList memory list) {
        _reserve(list, a.length);
        (uint256 target, uint256 highest, uint256 lowest, uint256 special) = (list.start, 0, 0, 0);
        uint256 end = list.end;
        unchecked {
            for (uint256 offset; target < end; offset += 32) {
                (uint256 x, uint256 y) = (_loaded(a, offset), _loaded(b, offset));
                special |= _specials(x) | _specials(y);
                (uint256 factor, uint256 exponents) = _decoded(x);
                (uint256 other, uint256 added) = _decoded(y);
                exponents += added;
                uint256 mask = _present(factor, other);
                highest = _larger(highest, exponents & mask);
                lowest = _larger(lowest, (EXPONENTS ^ exponents) & mask);
                _store(target, factor, other, exponents | (EXPONENTS ^ mask) | ((x ^ y) & SIGNS));
                target += GROUP_BYTES;
            }
        }
        (list.highest, list.lowest, list.special) = (highest, lowest, special);
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

    function _largestLane(uint256 lanes) private pure returns (uint256 largest) {
        for (; lanes != 0; lanes >>= 32) {
            uint256 lane = lanes & LANE;
            if (lane > largest) largest = lane;
        }
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
