// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IInferenceOracle} from "../interfaces/IInferenceOracle.sol";

/// @title A call whose callee gets the gas it was promised, or that is not made at all
/// @dev The EVM silently lowers a call's gas to 63/64 of what is left. Checked in Solidity, the bound is off by what
///      encoding costs; here the payload is already in memory and nothing but the pushes lies between check and call.
library ExactGasCall {
    /// @dev Gas that may go between the check and the 63/64 rule: 100 for a warm account, 2,600 where the target is an
    ///      EIP-7702 account whose delegate is cold, and the opcodes in between.
    uint256 private constant OVERHEAD = 3_000;

    /// @notice Calls `target` with exactly `gasLimit` gas, no value, and no return data copied.
    /// @return success False where the call reverted, or where `target` has no code.
    function tryCall(address target, uint256 gasLimit, bytes memory payload) internal returns (bool success) {
        // The size query warms the account, so that the call below pays for a warm one.
        if (target.code.length == 0) return false;
        bytes4 selector = IInferenceOracle.NotEnoughGasForCallback.selector;
        // Memory-safe: reads the payload; writes memory only to revert. Nothing is copied from the callee, so it cannot
        // charge this frame for memory.
        assembly ("memory-safe") {
            let available := gas()
            switch gt(available, OVERHEAD)
            case 0 { available := 0 }
            default {
                available := sub(available, OVERHEAD)
                available := sub(available, div(available, 64))
            }
            if lt(available, gasLimit) {
                mstore(0x00, selector)
                mstore(0x04, available)
                mstore(0x24, gasLimit)
                revert(0x00, 0x44)
            }
            success := call(gasLimit, target, 0, add(payload, 0x20), mload(payload), 0, 0)
        }
    }
}
