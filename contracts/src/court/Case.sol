// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Tier} from "../types/ModelTerms.sol";

/// @notice What the court says of one claimed element (docs/court.md, 1).
enum Verdict {
    /// No rule, a special value, or a range in which honest runs may do anything: the court is silent.
    Undefined,
    /// An honest run may give this claim.
    Within,
    /// No honest run gives it: the operator is wrong.
    Violated
}

/// @notice One element brought before the court: the claim and the operands it was computed from, as raw bits.
/// @dev Where they lay, and that they were committed, is proven before a case exists. GATHER and TREE come resolved:
///      their only operand is the element that the indices or the tree led to.
struct Case {
    /// `Opcode`.
    uint256 opcode;
    /// Of the program.
    Tier tier;
    /// `ElementType` of the claim.
    uint256 outputType;
    /// The claimed element: its little-endian bytes as an unsigned integer.
    uint256 claimed;
    /// `ElementType` of each operand.
    uint256[] operandTypes;
    /// Of each operand, its elements at the taps that count, in tap order, as they were committed (little-endian,
    /// packed). An operand that is read once has one element, or none where its guard fails.
    bytes[] operands;
    /// As the record has them, sign-extended.
    int256[] attributes;
    /// The last domain index; zero where there is none.
    uint256 rank;
    /// The numbers of the taps that count; empty where all do, or where the operation does not ask.
    uint256[] taps;
}

/// @title The rules of a family of operations
/// @notice Pure: the verdict depends on the case and on nothing else.
interface IRules {
    /// @notice The verdict on a case whose instruction is well formed (it has the operands, the attributes and the
    ///         axes that its operation asks for).
    function judge(Case calldata case_) external pure returns (Verdict);
}
