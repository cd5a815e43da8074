// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {ProgramHeader} from "./Proof.sol";

/// @title Leaves and roots of the trees that programs and traces are committed to (docs/program.md, Encoding)
/// @dev Hashes by the SHA-256 precompile, out of memory beyond the free pointer that nobody keeps.
library Sha256Tree {
    bytes4 internal constant TRACE = "TRCE";
    bytes4 internal constant CONSTANT = "CNST";
    bytes4 internal constant RECORD = "RCRD";

    /// @dev No tree may have more levels; below a row of digests so many words stay free for left siblings and tags.
    uint256 private constant MOST_LEVELS = 64;
    uint256 private constant NODE = 0x4e4f4445; // "NODE"
    uint256 private constant PROGRAM = 0x5052474d; // "PRGM"
    uint256 private constant ROOT = 0x524f4f54; // "ROOT"

    error RangeOutsideTree(uint256 first, uint256 count, uint256 leaves);
    error PathLength(uint256 used, uint256 given);
    error PrecompileFailed();

    /// @notice The root that consecutive leaves of one tensor lead to.
    /// @param treeLeaves Leaves of the whole tree.
    /// @param treeFirst Number, in the tree, of the first of these leaves.
    /// @param head The leaf header: tag, row, tensor and the index of the first leaf, 4 bytes each, as a number.
    /// @param data The bytes of the leaves, which are cut after every `leafBytes`; the last may be shorter.
    /// @param path Digests beside the leaves, level by level from below, left before right; never the zero digest.
    function rootOf(
        uint256 treeLeaves,
        uint256 treeFirst,
        uint256 head,
        bytes calldata data,
        uint256 leafBytes,
        bytes32[] calldata path
    ) internal view returns (bytes32 root) {
        uint256 count = (data.length + leafBytes - 1) / leafBytes;
        if (count == 0 || treeFirst + count > treeLeaves || treeLeaves >> MOST_LEVELS != 0) {
            revert RangeOutsideTree(treeFirst, count, treeLeaves);
        }
        uint256 digests = _hashLeaves(head, data, leafBytes, count);
        return _fold(treeLeaves, treeFirst, count, digests, path);
    }

    /// @notice What a model's terms commit to: the version of the format, and the header.
    function headerRoot(uint256 version, ProgramHeader calldata header) internal view returns (bytes32 root) {
        bool done;
        // Memory-safe: writes beyond the free pointer what nobody keeps, and the root into scratch space.
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, shl(224, PROGRAM))
            mstore(add(buffer, 0x04), version)
            calldatacopy(add(buffer, 0x24), header, 0x100)
            done := staticcall(gas(), 2, buffer, 0x124, 0x00, 0x20)
            root := mload(0x00)
        }
        if (!done) revert PrecompileFailed();
    }

    /// @notice What an answer commits to: the program, the number of rows, and the tree over all they computed.
    function traceRoot(bytes32 programRoot, uint256 rows, bytes32 treeRoot) internal pure returns (bytes32) {
        // Cut off, another number of rows would lead to the same root, and convict an honest answer.
        return sha256(abi.encodePacked(bytes4(uint32(ROOT)), programRoot, SafeCast.toUint32(rows), treeRoot));
    }

    /// @return digests Where in memory the first digest lies; `MOST_LEVELS + 2` words before it are free, too.
    function _hashLeaves(uint256 head, bytes calldata data, uint256 leafBytes, uint256 count)
        private
        view
        returns (uint256 digests)
    {
        bool failed;
        // Memory-safe: writes beyond the free pointer only. The frame of a leaf comes behind the digests.
        assembly ("memory-safe") {
            digests := add(mload(0x40), shl(5, add(MOST_LEVELS, 2)))
            let frame := add(digests, shl(5, add(count, 1)))
            let source := data.offset
            let left := data.length
            for { let target := digests } left { target := add(target, 0x20) } {
                let length := leafBytes
                if lt(left, leafBytes) { length := left }
                mstore(frame, shl(128, head))
                calldatacopy(add(frame, 16), source, length)
                if iszero(staticcall(gas(), 2, frame, add(length, 16), target, 0x20)) { failed := 1 }
                head := add(head, 1)
                source := add(source, length)
                left := sub(left, length)
            }
        }
        if (failed) revert PrecompileFailed();
    }

    function _fold(uint256 length, uint256 first, uint256 count, uint256 digests, bytes32[] calldata path)
        private
        view
        returns (bytes32 root)
    {
        uint256 used;
        bool failed;
        // Memory-safe: digests lie beyond the free pointer. Node j of a level is hashed out of digests 2j and 2j + 1, with
        // the tag in the last bytes of the word before them: that is digest 2j - 1, which is used up, or free.
        assembly ("memory-safe") {
            let cursor := path.offset
            for {} gt(count, 1) {} {
                if and(first, 1) {
                    digests := sub(digests, 0x20)
                    mstore(digests, calldataload(cursor))
                    cursor := add(cursor, 0x20)
                    count := add(count, 1)
                    first := sub(first, 1)
                }
                if and(count, 1) {
                    // `first` is even, so the range ends at an even position.
                    let sibling := 0
                    if lt(add(first, count), length) {
                        sibling := calldataload(cursor)
                        cursor := add(cursor, 0x20)
                    }
                    mstore(add(digests, shl(5, count)), sibling)
                    count := add(count, 1)
                }
                count := shr(1, count)
                first := shr(1, first)
                length := shr(1, add(length, 1))
                let target := digests
                let source := digests
                for { let end := add(digests, shl(5, count)) } lt(target, end) { target := add(target, 0x20) } {
                    mstore(sub(source, 0x20), NODE)
                    if iszero(staticcall(gas(), 2, sub(source, 4), 68, target, 0x20)) { failed := 1 }
                    source := add(source, 0x40)
                }
            }
            // The one that is left goes up alone: each hash is written where it lies beside its sibling. What the two
            // places add up to says where the other is.
            let places := add(shl(1, digests), 0x20)
            let node := add(digests, shl(5, and(first, 1)))
            mstore(node, mload(digests))
            mstore(sub(digests, 0x20), NODE)
            for {} gt(length, 1) {} {
                let sibling := 0
                if or(and(first, 1), lt(add(first, 1), length)) {
                    sibling := calldataload(cursor)
                    cursor := add(cursor, 0x20)
                }
                mstore(sub(places, node), sibling)
                first := shr(1, first)
                length := shr(1, add(length, 1))
                node := add(digests, shl(5, and(first, 1)))
                if iszero(staticcall(gas(), 2, sub(digests, 4), 68, node, 0x20)) { failed := 1 }
            }
            root := mload(node)
            used := shr(5, sub(cursor, path.offset))
        }
        if (failed) revert PrecompileFailed();
        if (used != path.length) revert PathLength(used, path.length);
    }
}
