// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {Case, IRules, Verdict} from "../../src/court/Case.sol";
import {ElementType} from "../../src/court/ElementType.sol";
import {Opcode} from "../../src/court/Opcode.sol";
import {Shipped} from "../support/Shipped.sol";

/// @notice Literal cases of the elementary functions and what they cost; `tests/contracts/test_elementary.py` compares
///         the contract with Python on random ones.
contract ElementaryRulesTest is Test {
    uint256 private constant ONE = 0x3f800000;
    uint256 private constant INFINITY = 0x7f800000;
    uint256 private constant NAN = 0x7fc00000;
    uint256 private constant NEGATIVE = 0x80000000;
    uint256 private constant LARGEST = 0x7f7fffff;
    /// e, rounded.
    uint256 private constant E = 0x402df854;

    IRules private rules;
    Meter private meter;

    function setUp() public {
        rules = IRules(Shipped.create("ElementaryRules", ""));
        meter = new Meter();
    }

    function test_WithinAndViolated() public view {
        _judge(Opcode.EXP, ONE, E, Verdict.Within);
        // The tolerance is 4 units in the last place of [2, 4).
        _judge(Opcode.EXP, ONE, E + 5, Verdict.Within);
        _judge(Opcode.EXP, ONE, E + 6, Verdict.Violated);
        _judge(Opcode.EXP, ONE, E - 5, Verdict.Within);
        _judge(Opcode.EXP, ONE, E - 6, Verdict.Violated);
        _judge(Opcode.EXP, ONE, E | NEGATIVE, Verdict.Violated);
        _judge(Opcode.LOG, ONE, 0, Verdict.Within);
        _judge(Opcode.LOG, ONE, 0x00800000, Verdict.Within);
        _judge(Opcode.LOG, ONE, 0x00800001, Verdict.Violated);
        _judge(Opcode.SIGMOID, 0, 0x3f000000, Verdict.Within);
        _judge(Opcode.SIGMOID, 0, 0, Verdict.Violated);
        _judge(Opcode.SOFTPLUS, LARGEST, LARGEST, Verdict.Within);
        // onnxruntime's tanh exceeds 1 here.
        _judge(Opcode.TANH, 0x41079bd0, ONE + 1, Verdict.Within);
        _judge(Opcode.ERF, LARGEST | NEGATIVE, ONE | NEGATIVE, Verdict.Within);
    }

    function test_OverflowAndUnderflow() public view {
        _judge(Opcode.EXP, LARGEST, INFINITY, Verdict.Within);
        _judge(Opcode.EXP, LARGEST, INFINITY | NEGATIVE, Verdict.Violated);
        _judge(Opcode.EXP, LARGEST, LARGEST, Verdict.Violated);
        _judge(Opcode.EXP, ONE, INFINITY, Verdict.Violated);
        _judge(Opcode.EXP, LARGEST | NEGATIVE, 0, Verdict.Within);
        _judge(Opcode.EXP, LARGEST | NEGATIVE, 0x00800000, Verdict.Within);
        _judge(Opcode.EXP, LARGEST | NEGATIVE, 0x00800001, Verdict.Violated);
        // Just above -2^-126: e^-x is positive, however small.
        _judge(Opcode.EXP, LARGEST | NEGATIVE, 0x007fffff | NEGATIVE, Verdict.Within);
        _judge(Opcode.EXP, LARGEST | NEGATIVE, 0x00800000 | NEGATIVE, Verdict.Violated);
    }

    function test_NaNIsNoResult() public view {
        for (uint256 opcode = Opcode.EXP; opcode <= Opcode.SOFTPLUS; ++opcode) {
            _judge(opcode, ONE, NAN, Verdict.Violated);
        }
    }

    function test_SpecialOperandsAreUndefined() public view {
        for (uint256 opcode = Opcode.EXP; opcode <= Opcode.SOFTPLUS; ++opcode) {
            _judge(opcode, NAN, ONE, Verdict.Undefined);
            _judge(opcode, INFINITY, ONE, Verdict.Undefined);
            _judge(opcode, INFINITY | NEGATIVE, ONE, Verdict.Undefined);
        }
        _judge(Opcode.LOG, 0, INFINITY | NEGATIVE, Verdict.Undefined);
        _judge(Opcode.LOG, NEGATIVE, INFINITY | NEGATIVE, Verdict.Undefined);
        _judge(Opcode.LOG, ONE | NEGATIVE, NAN, Verdict.Undefined);
    }

    function test_OtherOperationsAndTypesAreUndefined() public view {
        _judge(Opcode.SQRT, ONE, ONE, Verdict.Undefined);
        _judge(Opcode.SOFTPLUS + 1, ONE, ONE, Verdict.Undefined);
        Case memory case_ = _case(Opcode.EXP, ONE, E);
        case_.outputType = ElementType.FLOAT64;
        assertEq(uint256(rules.judge(case_)), uint256(Verdict.Undefined));
        case_ = _case(Opcode.EXP, ONE, E);
        case_.operandTypes[0] = ElementType.INT32;
        assertEq(uint256(rules.judge(case_)), uint256(Verdict.Undefined));
        // The operand's guard fails.
        case_ = _case(Opcode.EXP, ONE, E);
        case_.operands[0] = "";
        assertEq(uint256(rules.judge(case_)), uint256(Verdict.Undefined));
        case_ = _case(Opcode.EXP, ONE, E);
        case_.operandTypes = new uint256[](2);
        case_.operands = new bytes[](2);
        assertEq(uint256(rules.judge(case_)), uint256(Verdict.Undefined));
    }

    /// @dev The call from another contract and back, the address being cold; each at an argument that costs much.
    function test_Gas() public {
        _snapshotGas("EXP", _case(Opcode.EXP, 0x42b00000, 0x7ef882b7));
        _snapshotGas("LOG", _case(Opcode.LOG, 0x00000001, 0xc2ce8ed0));
        _snapshotGas("ERF", _case(Opcode.ERF, 0x40d4432d, ONE));
        _snapshotGas("TANH below 1", _case(Opcode.TANH, 0x3f7fffff, 0x3f42f7d5));
        _snapshotGas("TANH", _case(Opcode.TANH, 0x40000000, 0x3f76ca83));
        _snapshotGas("SIGMOID", _case(Opcode.SIGMOID, 0x40000000, 0x3f617beb));
        _snapshotGas("SOFTPLUS", _case(Opcode.SOFTPLUS, 0x40000000, 0x40081f97));
    }

    function _snapshotGas(string memory name, Case memory case_) private {
        (Verdict verdict, uint256 used) = meter.measure(rules, case_);
        assertEq(uint256(verdict), uint256(Verdict.Within), name);
        assertLt(used, 40_000, name);
        vm.snapshotValue("elementary", name, used);
    }

    function _judge(uint256 opcode, uint256 operand, uint256 claimed, Verdict expected) private view {
        assertEq(uint256(rules.judge(_case(opcode, operand, claimed))), uint256(expected), vm.toString(operand));
    }

    function _case(uint256 opcode, uint256 operand, uint256 claimed) private pure returns (Case memory case_) {
        case_.opcode = opcode;
        case_.outputType = ElementType.FLOAT32;
        case_.claimed = claimed;
        case_.operandTypes = new uint256[](1);
        case_.operandTypes[0] = ElementType.FLOAT32;
        case_.operands = new bytes[](1);
        case_.operands[0] = abi.encodePacked(uint32(ElementType.reversed(operand, 4)));
    }
}

/// @notice Measures a call as a contract makes it: without the transaction's own cost.
contract Meter {
    function measure(IRules rules, Case calldata case_) external view returns (Verdict verdict, uint256 used) {
        uint256 before = gasleft();
        verdict = rules.judge(case_);
        used = before - gasleft();
    }
}
