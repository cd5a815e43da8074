// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";
import {SafeERC20} from "@openzeppelin/contracts/token/ERC20/utils/SafeERC20.sol";

/// @title ERC-20 transfers that move exactly what they say
library TokenTransfer {
    error TransferMismatch(uint256 expected, uint256 received);

    /// @notice Pulls `amount` from `from` and requires that this contract's balance grew by exactly that, so that a
    ///         token with a fee on transfer can never leave the books above the balance.
    function pullExactly(IERC20 token, address from, uint256 amount) internal {
        uint256 before = token.balanceOf(address(this));
        // slither-disable-next-line arbitrary-send-erc20 (every caller passes its `msg.sender`)
        SafeERC20.safeTransferFrom(token, from, address(this), amount);
        uint256 received = token.balanceOf(address(this)) - before;
        if (received != amount) revert TransferMismatch(amount, received);
    }

    /// @notice Pays `amount` out.
    function push(IERC20 token, address to, uint256 amount) internal {
        SafeERC20.safeTransfer(token, to, amount);
    }
}
