// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {BINARY32} from "./Binary32.sol";
import {Rounding} from "./Rounding.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

/// @title Correctly rounded float32 operations
/// @notice Finite operands as raw bits, the one result that IEEE 754 leaves as raw bits (docs/court.md, 6.1). Zeros have
///         no sign of their own here.
library FloatArithmetic {
    /// @dev A number whose exponent is lower by more is below a quarter of the other's last place.
    int256 private constant FAR = 64;

    /// @notice a + b.
    function sum(uint256 a, uint256 b) internal pure returns (uint256) {
        // Significands have 24 bits; 24 + 64 + 1 < 256.
        unchecked {
            (int256 high, int256 exponent) = BINARY32.decode(a);
            (int256 low, int256 lowExponent) = BINARY32.decode(b);
            if (exponent < lowExponent) (high, exponent, low, lowExponent) = (low, lowExponent, high, exponent);
            int256 distance = exponent - lowExponent;
            if (distance > FAR) return _nearest(high, exponent);
            return _nearest((high << uint256(distance)) + low, exponent - distance);
        }
    }

    /// @notice a · b.
    function product(uint256 a, uint256 b) internal pure returns (uint256) {
        (int256 first, int256 firstExponent) = BINARY32.decode(a);
        (int256 second, int256 secondExponent) = BINARY32.decode(b);
        // 24 + 24 bits.
        unchecked {
            return _nearest(first * second, firstExponent + secondExponent);
        }
    }

    /// @notice a / b; b is not zero.
    function quotient(uint256 a, uint256 b) internal pure returns (uint256) {
        (int256 dividend, int256 exponent) = BINARY32.decode(a);
        (int256 divisor, int256 divisorExponent) = BINARY32.decode(b);
        // The quotient of 2^64·|a| has at least 64 - 23 bits: enough for the sticky bit to lie below the last place.
        unchecked {
            uint256 above = FixedPointMathLib.abs(dividend) << 64;
            uint256 below = FixedPointMathLib.abs(divisor);
            uint256 cut = Rounding.sticky(above / below, above % below != 0);
            return Rounding.nearest(BINARY32, dividend ^ divisor < 0, cut, exponent - divisorExponent - 65);
        }
    }

    /// @notice The square root of a; a is not negative.
    function root(uint256 a) internal pure returns (uint256) {
        (int256 significand, int256 exponent) = BINARY32.decode(a);
        // The root of m·2^64 or m·2^65 has at least 32 bits, and the exponent is made even.
        unchecked {
            uint256 shifted = uint256(significand) << (64 + uint256(exponent & 1));
            uint256 whole = FixedPointMathLib.sqrt(shifted);
            uint256 cut = Rounding.sticky(whole, shifted != whole * whole);
            return Rounding.nearest(BINARY32, false, cut, ((exponent - (exponent & 1)) >> 1) - 33);
        }
    }

    /// @notice The greatest integer not above a.
    function floor(uint256 a) internal pure returns (uint256) {
        (int256 significand, int256 exponent) = BINARY32.decode(a);
        if (exponent >= 0) return a;
        // Exponents are above -150; the shift of a signed number is a floor.
        unchecked {
            return _nearest(significand >> uint256(-exponent), 0);
        }
    }

    /// @notice The least integer not below a.
    function ceiling(uint256 a) internal pure returns (uint256) {
        uint256 signBit = BINARY32.signBit();
        return floor(a ^ signBit) ^ signBit;
    }

    /// @notice The nearest integer to a, ties to even.
    function nearestInteger(uint256 a) internal pure returns (uint256) {
        (int256 significand, int256 exponent) = BINARY32.decode(a);
        if (exponent >= 0) return a;
        // Exponents are above -150.
        unchecked {
            uint256 whole = Rounding.halfEven(FixedPointMathLib.abs(significand), uint256(-exponent));
            return Rounding.nearest(BINARY32, significand < 0, whole, 0);
        }
    }

    /// @notice The float32 nearest to significand · 2^exponent.
    function _nearest(int256 significand, int256 exponent) private pure returns (uint256) {
        return Rounding.nearest(BINARY32, significand < 0, FixedPointMathLib.abs(significand), exponent);
    }
}
