// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Evidence} from "./Openings.sol";
import {Instruction, Operand, ProgramRecord} from "./ProgramRecord.sol";

/// @notice One output element of an instruction: its domain indices, and what has been shown of each operand.
struct Site {
    Instruction step;
    uint256[] index;
    Evidence[] evidence;
}

/// @title The loop nest of an instruction: which elements an output element is computed from (docs/court.md, 3)
/// @dev An affine map is an offset and a coefficient for each axis, the domain's first; it stays in the record.
library Nest {
    using ProgramRecord for bytes;

    error PositionOutside(uint256 position, uint256 size);

    /// @notice The domain indices of an output element: row-major, the last axis fastest.
    function domainIndex(Instruction memory step, bytes calldata record, uint256 position)
        internal
        pure
        returns (uint256[] memory index)
    {
        if (position >= step.output.count) revert PositionOutside(position, step.output.count);
        index = new uint256[](step.domainRank);
        for (uint256 axis = step.domainRank; axis != 0;) {
            --axis;
            uint256 length = record.word(step.domain + axis);
            index[axis] = position % length;
            position /= length;
        }
    }

    /// @notice The position that an operand that is read once reads, at reduction index 0.
    /// @return holds False where a guard fails.
    function positionOf(Instruction memory step, bytes calldata record, Operand memory operand, uint256[] memory index)
        internal
        pure
        returns (bool holds, int256 position)
    {
        uint256 axes = step.domainRank + step.reductionRank;
        uint256 guard = operand.map + 2 + axes;
        for (uint256 left = record.word(operand.map + 1 + axes); left != 0; --left) {
            int256 place = partialSum(record, guard, index);
            if (place < 0 || place >= record.signed(guard + 1 + axes)) return (false, 0);
            guard += axes + 2;
        }
        return (true, partialSum(record, operand.map, index));
    }

    /// @notice Whether a tensor has an element at this position.
    function isInside(Operand memory operand, int256 position) internal pure returns (bool) {
        return position >= 0 && uint256(position) < operand.tensor.count;
    }

    /// @notice What a map gives at the first axes, the others being 0: its offset and their part.
    /// @param map The word at which it begins.
    function partialSum(bytes calldata record, uint256 map, uint256[] memory index) internal pure returns (int256 sum) {
        sum = record.signed(map);
        // Words and indices have 32 bits, and a record has less than 2^32 of them.
        unchecked {
            for (uint256 axis; axis < index.length; ++axis) {
                sum += record.signed(map + 1 + axis) * int256(index[axis]);
            }
        }
    }
}
