// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Format, formatOf} from "./Binary32.sol";
import {ElementType} from "./ElementType.sol";

/// @title What the raw bits of an element mean
/// @notice Values, order and sameness of elements of any type (docs/court.md, 2). Knows no operation.
library ElementValue {
    /// @notice Whether it is a float and NaN.
    function isNaN(uint256 elementType, uint256 bits) internal pure returns (bool) {
        return ElementType.isFloat(elementType) && formatOf(elementType).isNaN(bits);
    }

    /// @notice An integer that orders the values of a type, infinities included; meaningless for NaN.
    function key(uint256 elementType, uint256 bits) internal pure returns (int256) {
        if (ElementType.isFloat(elementType)) return formatOf(elementType).key(bits);
        return ElementType.integerValue(elementType, bits);
    }

    /// @notice Whether two elements of one type are one value: +0 is -0, and every NaN is the other.
    function same(uint256 elementType, uint256 first, uint256 second) internal pure returns (bool) {
        if (first == second) return true;
        if (!ElementType.isFloat(elementType)) return false;
        Format format = formatOf(elementType);
        // Of numbers only the zeros have different bits and one key.
        return (format.isZero(first) && format.isZero(second)) || (format.isNaN(first) && format.isNaN(second));
    }

    /// @notice The least and the greatest value of an integer type.
    function range(uint256 elementType) internal pure returns (int256 least, int256 greatest) {
        // At most 64 bits.
        unchecked {
            uint256 width = 8 * ElementType.size(elementType);
            if (!ElementType.isSigned(elementType)) return (0, int256((1 << width) - 1));
            greatest = int256((1 << (width - 1)) - 1);
            return (-greatest - 1, greatest);
        }
    }

    /// @notice The bits of an integer modulo 2^bits of the type.
    function cut(uint256 elementType, int256 value) internal pure returns (uint256) {
        unchecked {
            return uint256(value) & ((1 << (8 * ElementType.size(elementType))) - 1);
        }
    }
}
