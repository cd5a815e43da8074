// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {IViewCredit} from "../../src/periphery/IViewCredit.sol";
import {CreditHandler} from "./CreditHandler.sol";

/// @notice Invariants of the credit for views.
///
///         C1  The contract holds what the balances add up to.
///         C2  No operator gets more of a payer than its highest voucher, nor than what was deposited and not withdrawn.
///         C3  What was deposited is what is left, what was collected and what was withdrawn; nobody else has any.
contract CreditInvariantTest is Test {
    CreditHandler private handler;

    function setUp() public {
        handler = new CreditHandler();
        bytes4[] memory verbs = new bytes4[](6);
        verbs[0] = handler.deposit.selector;
        verbs[1] = handler.collect.selector;
        verbs[2] = handler.collectMany.selector;
        verbs[3] = handler.announce.selector;
        verbs[4] = handler.withdraw.selector;
        verbs[5] = handler.warp.selector;
        targetContract(address(handler));
        targetSelector(FuzzSelector(address(handler), verbs));
    }

    /// forge-config: default.invariant.runs = 40
    /// forge-config: default.invariant.depth = 100
    /// forge-config: default.invariant.fail-on-revert = true
    function invariant_BooksBalance() public view {
        _checkAll();
    }

    /// @notice The checks could not fail if nothing happened: one long walk comes through every verb.
    function test_Handler_ReachesEveryVerb() public {
        uint256 seed = 1;
        for (uint256 i; i < 400; ++i) {
            seed = uint256(keccak256(abi.encode(seed)));
            (uint256 who, uint256 whom, uint256 amount) = (seed >> 8, seed >> 16, seed >> 24);
            uint256 verb = seed % 6;
            if (verb == 0) handler.deposit(who, whom, amount % 200);
            if (verb == 1) handler.collect(who, whom, amount % 400);
            if (verb == 2) handler.collectMany(whom, amount);
            if (verb == 3) handler.announce(who, whom);
            if (verb == 4) handler.withdraw(who, whom);
            if (verb == 5) handler.warp(amount);
            if (i % 10 == 0) _checkAll();
        }
        string[] memory names = vm.split("deposit collect collectMany announce withdraw warp", " ");
        for (uint256 i; i < names.length; ++i) {
            assertGt(handler.done(names[i]), 0, string.concat("never came through: ", names[i]));
        }
    }

    function _checkAll() private view {
        uint256 balances;
        uint256 tokens = handler.TOKEN().balanceOf(address(handler.CREDIT()));
        for (uint256 i; i < handler.OPERATORS(); ++i) {
            address operator = handler.operators(i);
            uint256 collected;
            for (uint256 j; j < handler.PAYERS(); ++j) {
                address payer = handler.payers(j);
                IViewCredit.Credit memory one = handler.CREDIT().creditOf(payer, operator);
                uint256 put = handler.deposited(payer, operator);
                uint256 back = handler.withdrawn(payer, operator);
                assertLe(one.collected, handler.highest(payer, operator), "C2: voucher");
                assertLe(one.collected, put - back, "C2: deposits");
                assertEq(put, one.balance + one.collected + back, "C3: one credit");
                balances += one.balance;
                collected += one.collected;
            }
            assertEq(handler.TOKEN().balanceOf(operator), collected, "C3: an operator");
            tokens += collected;
        }
        assertEq(handler.TOKEN().balanceOf(address(handler.CREDIT())), balances, "C1");
        for (uint256 j; j < handler.PAYERS(); ++j) {
            tokens += handler.TOKEN().balanceOf(handler.payers(j));
        }
        assertEq(tokens, handler.PAYERS() * handler.MONEY(), "C3: all tokens");
    }
}
