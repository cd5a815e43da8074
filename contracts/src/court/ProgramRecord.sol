// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ProgramHeader, RecordOpening} from "./Proof.sol";
import {Sha256Tree} from "./Sha256Tree.sol";

/// @notice Where a tensor lies: in a row's trace, or among the constants.
struct Tensor {
    bool isConstant;
    uint256 number;
    uint256 elementType;
    /// Number of its first leaf, within a row's trace or among all constants.
    uint256 firstLeaf;
    /// Elements.
    uint256 count;
}

/// @notice An operand; `map` is the word of the record at which its affine map begins.
struct Operand {
    Tensor tensor;
    uint256 map;
}

/// @notice One instruction. Lengths and coefficients stay in the record, in calldata.
struct Instruction {
    uint256 opcode;
    Tensor output;
    /// Words at which the lengths of the domain, and of the reduction, begin.
    uint256 domain;
    uint256 domainRank;
    uint256 reduction;
    uint256 reductionRank;
    Operand[] operands;
    int256[] attributes;
}

/// @title Reads a program: header, records, words (docs/program.md, Encoding)
library ProgramRecord {
    uint256 private constant FORMAT_VERSION = 1;
    /// @dev Of larger leaves a proof would not fit a transaction. Nobody serves a program that has them.
    uint256 private constant MOST_LEAF_BYTES = 4096;

    error ProgramRootMismatch(bytes32 expected, bytes32 actual);
    error RecordMismatch(uint256 number);
    error LeafBytesUnusable(uint256 leafBytes);
    error RecordLength(uint256 words, uint256 bytes_);

    /// @notice Reverts unless the header is the one that the program root is the hash of. No element straddles two leaves.
    function requireHeader(ProgramHeader calldata header, bytes32 programRoot) internal view {
        bytes32 actual = Sha256Tree.headerRoot(FORMAT_VERSION, header);
        if (actual != programRoot) revert ProgramRootMismatch(programRoot, actual);
        if (header.leafBytes == 0 || header.leafBytes % 8 != 0 || header.leafBytes > MOST_LEAF_BYTES) {
            revert LeafBytesUnusable(header.leafBytes);
        }
    }

    /// @notice Reverts unless the record is of that program.
    function requireRecord(RecordOpening calldata record, ProgramHeader calldata header) internal view {
        bytes calldata data = record.data;
        uint256 head = uint256(uint32(Sha256Tree.RECORD)) << 96 | record.number;
        bytes32 root = Sha256Tree.rootOf(header.recordCount, record.number, head, data, data.length, record.path);
        if (root != header.recordRoot) revert RecordMismatch(record.number);
    }

    /// @notice Word `index` of a record. Beyond its end come whatever bytes: see `requireWords`.
    function word(bytes calldata record, uint256 index) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(224, calldataload(add(record.offset, shl(2, index))))
        }
    }

    /// @notice Word `index`, sign-extended.
    function signed(bytes calldata record, uint256 index) internal pure returns (int256 value) {
        assembly ("memory-safe") {
            value := signextend(3, shr(224, calldataload(add(record.offset, shl(2, index)))))
        }
    }

    /// @notice The instruction in a record that has been proven.
    function instruction(bytes calldata record) internal pure returns (Instruction memory step) {
        Tensor memory output = step.output;
        step.opcode = word(record, 0);
        output.number = word(record, 1);
        output.elementType = word(record, 2);
        output.firstLeaf = word(record, 3);
        uint256 domainRank = word(record, 4);
        (step.domainRank, step.domain) = (domainRank, 5);
        uint256 cursor = 5;
        uint256 count = 1;
        for (uint256 axis; axis < domainRank; ++axis) {
            count *= word(record, cursor++);
        }
        output.count = count;
        // Sums and products of two of words of 32 bits, each bounded by the record before the next is added.
        unchecked {
            uint256 axes = word(record, cursor++);
            (step.reductionRank, step.reduction) = (axes, cursor);
            cursor += axes;
            _requireAtMost(record, cursor);

            axes += domainRank;
            step.operands = new Operand[](_countAt(record, cursor++));
            for (uint256 number; number < step.operands.length; ++number) {
                Operand memory operand = step.operands[number];
                _readTensor(record, cursor, operand.tensor);
                operand.map = cursor + 5;
                // offset, coefficients, guard count; each guard: offset, coefficients, limit
                cursor += 6 + axes;
                uint256 guards = word(record, cursor);
                cursor += 1 + guards * (axes + 2);
                _requireAtMost(record, cursor);
            }
            int256[] memory attributes = new int256[](_countAt(record, cursor++));
            step.attributes = attributes;
            for (uint256 number; number < attributes.length; ++number) {
                attributes[number] = signed(record, cursor++);
            }
        }
        if (cursor * 4 != record.length) revert RecordLength(cursor, record.length);
    }

    /// @dev Of an operand: its space, then what the interface has of a tensor.
    function _readTensor(bytes calldata record, uint256 cursor, Tensor memory tensor) private pure {
        unchecked {
            tensor.isConstant = word(record, cursor) != 0;
            tensor.number = word(record, cursor + 1);
            tensor.elementType = word(record, cursor + 2);
            tensor.firstLeaf = word(record, cursor + 3);
            tensor.count = word(record, cursor + 4);
        }
    }

    /// @dev A count cannot exceed the words that are there: nothing is allocated for a count that is not meant.
    function _countAt(bytes calldata record, uint256 cursor) private pure returns (uint256 count) {
        count = word(record, cursor);
        _requireAtMost(record, cursor + count);
    }

    function _requireAtMost(bytes calldata record, uint256 words) private pure {
        if (words * 4 > record.length) revert RecordLength(words, record.length);
    }
}
