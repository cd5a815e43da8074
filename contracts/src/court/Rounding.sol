// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Format} from "./Binary32.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

/// @title Rounding to nearest, ties to even
/// @notice RNE32, RNE64 and rne of docs/court.md, 2. A number that does not fit a word comes cut off, with one more bit
///         that is set where anything was cut off (`sticky`): far enough below the last place it decides every tie.
library Rounding {
    /// @notice The bits of the number of `format` nearest to ±significand · 2^exponent; infinity beyond the largest.
    /// @param exponent Of magnitude below 2^32; what lies under half the smallest number becomes zero.
    function nearest(Format format, bool negative, uint256 significand, int256 exponent)
        internal
        pure
        returns (uint256 bits)
    {
        if (significand == 0) return 0;
        // Exponents are small, and the shift to the left ends at bit 23 or 52.
        unchecked {
            uint256 fraction = format.fractionBits();
            int256 least = format.leastExponent();
            int256 highest = int256(FixedPointMathLib.log2(significand));
            int256 last = FixedPointMathLib.max(exponent + highest - int256(fraction), least);
            int256 shift = last - exponent;
            if (shift <= 0) significand <<= uint256(-shift);
            else significand = shift > highest + 1 ? 0 : halfEven(significand, uint256(shift));
            // The leading one of a normal number adds one to the exponent's field; so does a carry out of rounding.
            bits = FixedPointMathLib.min((uint256(last - least) << fraction) + significand, format.infinity());
            if (negative) bits |= format.signBit();
        }
    }

    /// @notice The integer nearest to value / 2^shift, ties to even.
    /// @param shift 1 to 256.
    function halfEven(uint256 value, uint256 shift) internal pure returns (uint256 whole) {
        // 2^256 - 1 is meant where the shift is 256; `whole` is below 2^255.
        unchecked {
            whole = value >> shift;
            uint256 rest = value & ((1 << shift) - 1);
            uint256 half = 1 << (shift - 1);
            if (rest > half || (rest == half && whole & 1 == 1)) ++whole;
        }
    }

    /// @notice value · 2, with the last bit set where something was cut off.
    /// @param value Below 2^255.
    function sticky(uint256 value, bool wasCut) internal pure returns (uint256 result) {
        assembly ("memory-safe") {
            result := or(shl(1, value), wasCut)
        }
    }
}
