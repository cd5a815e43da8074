// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {formatOf} from "./Binary32.sol";
import {ElementType} from "./ElementType.sol";

/// @title Packed elements, a word at a time
/// @notice Counts and sums over all elements of an operand that is read at every tap. Knows no operation.
/// @dev A word holds 32 bytes of elements of w bits each, in lanes of w bits. With `upward` flipped an element of the
///      upper half of its type's order (not negative; of an unsigned type from 2^(w-1) on) has its highest bit set, and
///      more of the other bits the higher it is; all others have it clear. With `turned` flipped too the same is true of
///      the lower half, and of the order turned round.
struct Lanes {
    uint256 bytes_;
    /// w.
    uint256 width;
    /// 1 in every lane.
    uint256 ones;
    /// 2^(w-1) in every lane.
    uint256 signs;
    uint256 upward;
    uint256 turned;
    /// What is added to a magnitude to reach 2^(w-1) if and only if it is that of a NaN, in every lane. Zero for integers.
    uint256 pastInfinity;
}

/// @notice How many elements are above an element in the order of the type, how many are not below it, how many there are.
struct Tally {
    uint256 above;
    uint256 notBelow;
    uint256 count;
    bool hasNaN;
}

using {tally, sum} for Lanes global;

/// @dev Bytes of 2^7 words: a lane of 8 bits holds their count.
uint256 constant BYTES_AT_ONCE = 32 << 7;

uint256 constant EVEN_BYTES = 0x00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff;
uint256 constant EVEN_PAIRS = 0x0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff0000ffff;
uint256 constant EVEN_QUADS = 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;

/// @notice The lanes of an element type that the court knows.
function lanesOf(uint256 elementType) pure returns (Lanes memory lanes) {
    // Widths are 8, 16, 32 or 64.
    unchecked {
        uint256 width = 8 * ElementType.size(elementType);
        lanes.bytes_ = width / 8;
        lanes.width = width;
        lanes.ones = type(uint256).max / ((1 << width) - 1);
        lanes.signs = lanes.ones << (width - 1);
        if (ElementType.isFloat(elementType)) {
            lanes.upward = lanes.signs;
            lanes.turned = lanes.signs;
            lanes.pastInfinity = lanes.ones * ((1 << (width - 1)) - 1 - formatOf(elementType).infinity());
        } else {
            lanes.upward = ElementType.isSigned(elementType) ? lanes.signs : 0;
            lanes.turned = type(uint256).max;
        }
    }
}

/// @notice Compares all elements with one, which is not NaN.
function tally(Lanes memory lanes, bytes calldata data, uint256 bits) pure returns (Tally memory counts) {
    uint256 count = data.length / lanes.bytes_;
    uint256 sign = 1 << (lanes.width - 1);
    uint256 flips = lanes.upward;
    // Counts of elements.
    unchecked {
        if (lanes.pastInfinity != 0 && bits & (sign - 1) == 0) {
            // -0 is 0 and lies in the other half: what is below is counted there.
            _count(lanes, counts, data, flips ^ lanes.turned, 0);
            uint256 below = counts.above;
            (counts.above, counts.notBelow) = (0, 0);
            _count(lanes, counts, data, flips, 0);
            counts.notBelow = count - below;
        } else if ((bits ^ flips) & sign != 0) {
            _count(lanes, counts, data, flips, bits & (sign - 1));
        } else {
            _count(lanes, counts, data, flips ^ lanes.turned, (bits ^ lanes.turned) & (sign - 1));
            (counts.above, counts.notBelow) = (count - counts.notBelow, count - counts.above);
        }
    }
    counts.count = count;
}

/// @notice The sum of all elements of an integer type, modulo 2^bits of the type.
function sum(Lanes memory lanes, bytes calldata data) pure returns (uint256) {
    (uint256 start, uint256 end) = _ends(data);
    uint256 width = lanes.width;
    uint256 signs = lanes.signs;
    uint256 total;
    // Lane by lane: the highest bits are added without carry, the others carry into them at most.
    unchecked {
        for (; start < end; start += 32) {
            uint256 word = _reversed(_wordAt(start, end), width);
            total = ((total & ~signs) + (word & ~signs)) ^ ((total ^ word) & signs);
        }
        uint256 result;
        for (uint256 shift; shift < 256; shift += width) {
            result += total >> shift;
        }
        return result & ((1 << width) - 1);
    }
}

/// @dev Adds to `above` the elements that, with `flips` flipped, have the highest bit set and in their other bits more
///      than `least`, to `notBelow` those that have not less; notes a NaN.
function _count(Lanes memory lanes, Tally memory counts, bytes calldata data, uint256 flips, uint256 least) pure {
    unchecked {
        uint256 toMore = lanes.ones * ((1 << (lanes.width - 1)) - 1 - least);
        (uint256 start, uint256 end) = _ends(data);
        while (start < end) {
            uint256 next = start + BYTES_AT_ONCE;
            if (next > end) next = end;
            (uint256 more, uint256 notLess, uint256 magnitudes) = _pass(lanes, start, next, flips, toMore);
            counts.above += _total(lanes, more);
            counts.notBelow += _total(lanes, notLess);
            if (magnitudes & lanes.signs != 0) counts.hasNaN = true;
            start = next;
        }
    }
}

/// @dev The counts of calldata from `start` to `end`, in every lane its own; in the highest bit of a lane of `magnitudes`
///      whether there was a NaN. `toMore` takes what is more than the least to 2^(w-1), and the highest number to less
///      than 2^w: lanes do not run into each other.
function _pass(Lanes memory lanes, uint256 start, uint256 end, uint256 flips, uint256 toMore)
    pure
    returns (uint256 more, uint256 notLess, uint256 magnitudes)
{
    // In assembly, with `_reversed` and `_wordAt` in place: a claim may have thousands of taps.
    assembly ("memory-safe") {
        let signs := mload(add(lanes, 0x60))
        let ones := mload(add(lanes, 0x40))
        let width := mload(add(lanes, 0x20))
        for {} lt(start, end) { start := add(start, 32) } {
            let word := calldataload(start)
            if gt(width, 8) {
                word := or(and(shr(8, word), EVEN_BYTES), shl(8, and(word, EVEN_BYTES)))
                if gt(width, 16) {
                    word := or(and(shr(16, word), EVEN_PAIRS), shl(16, and(word, EVEN_PAIRS)))
                    if gt(width, 32) {
                        word := or(and(shr(32, word), EVEN_QUADS), shl(32, and(word, EVEN_QUADS)))
                    }
                }
            }
            word := xor(word, flips)
            if lt(sub(end, start), 32) {
                // The lanes beyond the end become zero, which is not counted.
                let beyond := sub(256, shl(3, sub(end, start)))
                word := shl(beyond, shr(beyond, word))
            }
            let rest := and(word, not(signs))
            word := and(word, signs)
            magnitudes := or(magnitudes, add(rest, mload(add(lanes, 0xc0))))
            rest := add(rest, toMore)
            more := add(more, shr(sub(width, 1), and(rest, word)))
            notLess := add(notLess, shr(sub(width, 1), and(add(rest, ones), word)))
        }
    }
}

/// @dev The sum of the lanes, each at most 2^7: in slots of two lanes, where 2^2w is 1 modulo 2^2w - 1.
function _total(Lanes memory lanes, uint256 counts) pure returns (uint256) {
    unchecked {
        uint256 slot = (1 << (2 * lanes.width)) - 1;
        uint256 even = type(uint256).max / slot * ((1 << lanes.width) - 1);
        return ((counts & even) + ((counts >> lanes.width) & even)) % slot;
    }
}

/// @dev Where the data lies in calldata.
function _ends(bytes calldata data) pure returns (uint256 start, uint256 end) {
    assembly ("memory-safe") {
        start := data.offset
        end := add(start, data.length)
    }
}

/// @dev The word of calldata from `start`, zeros from `end` on.
function _wordAt(uint256 start, uint256 end) pure returns (uint256 word) {
    assembly ("memory-safe") {
        word := calldataload(start)
        if lt(sub(end, start), 32) {
            let beyond := sub(256, shl(3, sub(end, start)))
            word := shl(beyond, shr(beyond, word))
        }
    }
}

/// @dev A word with the bytes of every lane in the other order.
function _reversed(uint256 word, uint256 width) pure returns (uint256) {
    if (width == 8) return word;
    word = ((word >> 8) & EVEN_BYTES) | ((word & EVEN_BYTES) << 8);
    if (width == 16) return word;
    word = ((word >> 16) & EVEN_PAIRS) | ((word & EVEN_PAIRS) << 16);
    if (width == 32) return word;
    return ((word >> 32) & EVEN_QUADS) | ((word & EVEN_QUADS) << 32);
}
