// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Format, formatOf} from "./Binary32.sol";
import {ElementType} from "./ElementType.sol";
import {ElementValue} from "./ElementValue.sol";
import {Rounding} from "./Rounding.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

/// @title CAST
/// @notice Every pair of element types has one result, or none (docs/court.md, 6.6).
library Casting {
    /// @notice `bits` of type `source` as type `target`; whether there is a result.
    function convert(uint256 source, uint256 target, uint256 bits)
        internal
        pure
        returns (bool isDefined, uint256 result)
    {
        if (ElementType.isFloat(source)) return _fromFloat(formatOf(source), target, bits);
        return (true, _fromInteger(target, ElementType.integerValue(source, bits)));
    }

    function _fromInteger(uint256 target, int256 value) private pure returns (uint256) {
        if (target == ElementType.BOOL) return value == 0 ? 0 : 1;
        if (!ElementType.isFloat(target)) return ElementValue.cut(target, value);
        return Rounding.nearest(formatOf(target), value < 0, FixedPointMathLib.abs(value), 0);
    }

    function _fromFloat(Format format, uint256 target, uint256 bits)
        private
        pure
        returns (bool isDefined, uint256 result)
    {
        if (format.isNaN(bits)) return (false, 0);
        if (target == ElementType.BOOL) return (true, format.isZero(bits) ? 0 : 1);
        bool toFloat = ElementType.isFloat(target);
        if (format.isInfinite(bits)) {
            if (!toFloat) return (false, 0);
            Format other = formatOf(target);
            return (true, other.infinity() | (format.isNegative(bits) ? other.signBit() : 0));
        }
        (int256 significand, int256 exponent) = format.decode(bits);
        if (!toFloat) return _toInteger(target, significand, exponent);
        return (true, Rounding.nearest(formatOf(target), significand < 0, FixedPointMathLib.abs(significand), exponent));
    }

    function _toInteger(uint256 target, int256 significand, int256 exponent)
        private
        pure
        returns (bool isDefined, uint256 result)
    {
        // 53 bits shifted by at most 64; what is shifted further is beyond every type, as only the least exponents,
        // which are negative, come with a zero.
        unchecked {
            if (exponent > 64) return (false, 0);
            uint256 size = FixedPointMathLib.abs(significand);
            size = exponent < 0 ? size >> uint256(-exponent) : size << uint256(exponent);
            int256 value = significand < 0 ? -int256(size) : int256(size);
            (int256 least, int256 greatest) = ElementValue.range(target);
            if (value < least || value > greatest) return (false, 0);
            return (true, ElementValue.cut(target, value));
        }
    }
}
