// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Evidence, Openings} from "./Openings.sol";

/// @title Copies elements of an operand that lie evenly apart, out of what was shown of it
library Runs {
    using Openings for Evidence;

    /// @notice Copies `left` elements that lie `stride` apart, from a position on; all positions are inside the tensor.
    /// @param target Where in memory, within a buffer that has room for all of them.
    function copy(Evidence memory evidence, uint256 position, int256 stride, uint256 left, uint256 target)
        internal
        pure
    {
        uint256 size = evidence.size;
        while (left != 0) {
            (uint256 source, uint256 before, uint256 rest) = evidence.place(position);
            uint256 taken = _reach(before, rest, stride, size);
            if (taken > left) taken = left;
            // Memory-safe: the target is within a buffer of all elements.
            assembly ("memory-safe") {
                let end := add(target, mul(taken, size))
                switch stride
                case 1 { calldatacopy(target, source, mul(taken, size)) }
                default {
                    let step := mul(stride, size)
                    for {} lt(target, end) { target := add(target, size) } {
                        calldatacopy(target, source, size)
                        source := add(source, step)
                    }
                }
                target := end
            }
            left -= taken;
            // The last step may lead anywhere: nothing is read there.
            unchecked {
                position += taken * uint256(stride);
            }
        }
    }

    /// @dev How many elements a stride meets in a piece, from the one on that has `before` bytes before it and `rest` bytes
    ///      from its first byte on.
    function _reach(uint256 before, uint256 rest, int256 stride, uint256 size) private pure returns (uint256) {
        if (stride == 0) return type(uint256).max;
        if (stride > 0) return (rest - 1) / (uint256(stride) * size) + 1;
        return before / (uint256(-stride) * size) + 1;
    }
}
