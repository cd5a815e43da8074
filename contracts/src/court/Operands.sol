// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Case, Verdict} from "./Case.sol";
import {ElementType} from "./ElementType.sol";
import {ElementValue} from "./ElementValue.sol";

/// @title What the rules share: operands that are read once, and claims that have one possible value
/// @notice Knows how a case holds elements; not what any operation does with them.
library Operands {
    /// @notice Whether operand `index` is one element, of this type: its guards hold.
    function isSingle(Case calldata case_, uint256 index, uint256 elementType) internal pure returns (bool) {
        uint256 size = ElementType.size(elementType);
        return size != 0 && case_.operandTypes[index] == elementType && case_.operands[index].length == size;
    }

    /// @notice Whether the case has exactly one operand, of this type.
    function isOne(Case calldata case_, uint256 elementType) internal pure returns (bool) {
        return case_.operandTypes.length == 1 && isSingle(case_, 0, elementType);
    }

    /// @notice Whether the case has exactly two operands, both of this type.
    function isPair(Case calldata case_, uint256 elementType) internal pure returns (bool) {
        return case_.operandTypes.length == 2 && isSingle(case_, 0, elementType) && isSingle(case_, 1, elementType);
    }

    /// @notice Whether the case has exactly three operands, of these types.
    function isTriple(Case calldata case_, uint256 first, uint256 second, uint256 third) internal pure returns (bool) {
        return case_.operandTypes.length == 3 && isSingle(case_, 0, first) && isSingle(case_, 1, second)
            && isSingle(case_, 2, third);
    }

    /// @notice The element that operand `index` is; see `isSingle`.
    function single(Case calldata case_, uint256 index) internal pure returns (uint256) {
        bytes calldata operand = case_.operands[index];
        return element(operand, 0, operand.length);
    }

    /// @notice Element `index` of packed little-endian elements, as an unsigned integer. The caller checks the length.
    function element(bytes calldata data, uint256 index, uint256 size) internal pure returns (uint256) {
        uint256 word;
        // Reads 32 bytes that begin with the element; what follows it is shifted out.
        assembly ("memory-safe") {
            word := calldataload(add(data.offset, mul(index, size)))
        }
        // `size` is 1, 2, 4 or 8.
        unchecked {
            return ElementType.reversed(word >> (256 - 8 * size), size);
        }
    }

    /// @notice The verdict where the claim has one possible value.
    function mustBe(Case calldata case_, uint256 expected) internal pure returns (Verdict) {
        return ElementValue.same(case_.outputType, case_.claimed, expected) ? Verdict.Within : Verdict.Violated;
    }
}
