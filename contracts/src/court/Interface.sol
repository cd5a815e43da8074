// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ElementType} from "./ElementType.sol";
import {Openings} from "./Openings.sol";
import {ProgramRecord, Tensor} from "./ProgramRecord.sol";
import {Scan} from "./Scan.sol";

/// @title Record 0 of a program: its inputs and outputs, and how messages hold them
/// @dev A message is its tensors one after the other, each with its elements of row 0, of row 1, and so on.
library Interface {
    using ProgramRecord for bytes;

    uint256 private constant TENSOR_WORDS = 4;

    error TensorUnknown(uint256 tensor, uint256 count);
    error MessageLength(uint256 expected, uint256 actual);
    error ElementOutside(uint256 position, uint256 count);

    /// @notice The most rows that a request may have.
    function maxRows(bytes calldata record) internal pure returns (uint256) {
        return record.word(0);
    }

    /// @notice The inputs (or the outputs), in the order of the schema.
    function tensors(bytes calldata record, bool outputs) internal pure returns (Tensor[] memory found) {
        uint256 cursor = 1;
        uint256 count = record.word(cursor);
        if (outputs) {
            cursor += 1 + count * TENSOR_WORDS;
            count = record.word(cursor);
        }
        if ((cursor + 1 + count * TENSOR_WORDS) * 4 > record.length) {
            revert ProgramRecord.RecordLength(cursor, record.length);
        }
        ++cursor;
        found = new Tensor[](count);
        for (uint256 index; index < count; ++index) {
            found[index] = Tensor({
                isConstant: false,
                number: record.word(cursor),
                elementType: record.word(cursor + 1),
                firstLeaf: record.word(cursor + 2),
                count: record.word(cursor + 3)
            });
            cursor += TENSOR_WORDS;
        }
    }

    /// @notice Bytes of all tensors, of one row.
    function rowBytes(Tensor[] memory all) internal pure returns (uint256 sum) {
        for (uint256 index; index < all.length; ++index) {
            sum += all[index].count * ElementType.size(all[index].elementType);
        }
    }

    /// @notice An element of a message of so many rows, whose length has been checked.
    function element(
        Tensor[] memory all,
        bytes calldata message,
        uint256 rows,
        uint256 row,
        uint256 tensor,
        uint256 position
    ) internal pure returns (uint256) {
        if (tensor >= all.length) revert TensorUnknown(tensor, all.length);
        if (position >= all[tensor].count) revert ElementOutside(position, all[tensor].count);
        uint256 cursor;
        for (uint256 index; index < tensor; ++index) {
            cursor += rows * all[index].count * ElementType.size(all[index].elementType);
        }
        uint256 bytes_ = ElementType.size(all[tensor].elementType);
        cursor += (row * all[tensor].count + position) * bytes_;
        return _at(message, cursor, bytes_);
    }

    /// @notice The rows of an input; zero where it is malformed: it has a length that no number of rows has, too many
    ///         rows, a NaN or an infinity, or a bool that is neither 0 nor 1.
    function rowsOf(bytes calldata record, bytes calldata input) internal pure returns (uint256 rows) {
        Tensor[] memory all = tensors(record, false);
        uint256 width = rowBytes(all);
        if (width == 0 || input.length % width != 0) return 0;
        // slither-disable-next-line divide-before-multiply (whole rows)
        rows = input.length / width;
        if (rows > maxRows(record)) return 0;
        uint256 source;
        assembly ("memory-safe") {
            source := input.offset
        }
        for (uint256 index; index < all.length; ++index) {
            uint256 kind = all[index].elementType;
            uint256 length = rows * all[index].count * ElementType.size(kind);
            if (Scan.hasForbidden(kind, source, length)) return 0;
            source += length;
        }
    }

    function _at(bytes calldata message, uint256 cursor, uint256 bytes_) private pure returns (uint256) {
        uint256 source;
        assembly ("memory-safe") {
            source := add(message.offset, cursor)
        }
        return Openings.elementAt(source, bytes_);
    }
}
