// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Sums of products of bytes
/// @notice sum (a - c)·(b - d) over two operands of 8-bit elements, 32 taps at a time. Knows no operation.
/// @dev Eight bytes of each operand, in slots of 32 bits, are the coefficients of two polynomials in 2^32; with one of
///      them in the other order, the highest coefficient of their product is the sum of eight products of bytes.
library ByteProducts {
    uint256 private constant LOW = 0x000000ff000000ff000000ff000000ff000000ff000000ff000000ff000000ff;
    uint256 private constant SIGNS = 0x8080808080808080808080808080808080808080808080808080808080808080;
    /// @dev The lower of every two slots of 32 bits, of 64 bits.
    uint256 private constant EVEN_32 = 0x00000000ffffffff00000000ffffffff00000000ffffffff00000000ffffffff;
    uint256 private constant EVEN_64 = 0x0000000000000000ffffffffffffffff0000000000000000ffffffffffffffff;
    /// @dev Of 2^10 words: every coefficient, and every sum of elements, is at most 2^10 · 32 · 255² < 2^32.
    uint256 private constant BYTES_AT_ONCE = 32 << 10;

    /// @dev sum a·b, sum a and sum b.
    struct Sums {
        uint256 products;
        uint256 first;
        uint256 second;
    }

    /// @notice sum (first - firstZero)·(second - secondZero), exactly; the operands have as many elements as each other.
    /// @param zeros The zero points of the first and the second operand, as raw bits.
    /// @param areSigned Whether the elements of either operand are int8, not uint8.
    function sum(bytes calldata first, bytes calldata second, uint256[2] memory zeros, bool[2] memory areSigned)
        internal
        pure
        returns (int256)
    {
        // With the sign bit flipped an int8 is a uint8, 128 higher; so is its zero point, and their difference stays.
        uint256[2] memory flips = [areSigned[0] ? SIGNS : 0, areSigned[1] ? SIGNS : 0];
        Sums memory sums;
        uint256 length = first.length;
        // Below 2^18 for each tap, and no calldata has 2^64 bytes.
        unchecked {
            for (uint256 done; done < length; done += BYTES_AT_ONCE) {
                _add(sums, first[done:], second[done:], flips);
            }
            uint256 firstZero = zeros[0] ^ (flips[0] & 0xff);
            uint256 secondZero = zeros[1] ^ (flips[1] & 0xff);
            return int256(sums.products + length * firstZero * secondZero)
                - int256(secondZero * sums.first + firstZero * sums.second);
        }
    }

    /// @dev Adds the first BYTES_AT_ONCE taps, or all.
    function _add(Sums memory sums, bytes calldata first, bytes calldata second, uint256[2] memory flips) private pure {
        uint256 products;
        uint256 firstSlots;
        uint256 secondSlots;
        uint256 length = first.length;
        if (length > BYTES_AT_ONCE) length = BYTES_AT_ONCE;
        // Slots do not run into each other, see BYTES_AT_ONCE; those beyond the product's highest may be lost.
        assembly ("memory-safe") {
            let other := second.offset
            for { let end := add(first.offset, length) } lt(first.offset, end) { first.offset := add(first.offset, 32) }
            {
                let a := xor(calldataload(first.offset), mload(flips))
                let b := xor(calldataload(other), mload(add(flips, 0x20)))
                other := add(other, 32)
                if lt(sub(end, first.offset), 32) {
                    let beyond := sub(256, shl(3, sub(end, first.offset)))
                    a := shl(beyond, shr(beyond, a))
                    b := shl(beyond, shr(beyond, b))
                }
                // The slots of b in the other order.
                b := or(and(shr(32, b), EVEN_32), shl(32, and(b, EVEN_32)))
                b := or(and(shr(64, b), EVEN_64), shl(64, and(b, EVEN_64)))
                b := or(shr(128, b), shl(128, b))
                let lanes := and(a, LOW)
                let others := and(b, LOW)
                products := add(products, mul(lanes, others))
                firstSlots := add(firstSlots, lanes)
                secondSlots := add(secondSlots, others)
                lanes := and(shr(8, a), LOW)
                others := and(shr(8, b), LOW)
                products := add(products, mul(lanes, others))
                firstSlots := add(firstSlots, lanes)
                secondSlots := add(secondSlots, others)
                lanes := and(shr(16, a), LOW)
                others := and(shr(16, b), LOW)
                products := add(products, mul(lanes, others))
                firstSlots := add(firstSlots, lanes)
                secondSlots := add(secondSlots, others)
                lanes := and(shr(24, a), LOW)
                others := and(shr(24, b), LOW)
                products := add(products, mul(lanes, others))
                firstSlots := add(firstSlots, lanes)
                secondSlots := add(secondSlots, others)
            }
        }
        unchecked {
            sums.products += products >> 224;
            // The sum of the slots: 2^32 is 1 modulo 2^32 - 1, and the sum is below that.
            sums.first += firstSlots % type(uint32).max;
            sums.second += secondSlots % type(uint32).max;
        }
    }
}
