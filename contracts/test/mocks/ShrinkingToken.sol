// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice Keeps a part of every transfer from when it is told to.
contract ShrinkingToken is ERC20 {
    uint256 private _feeBps;

    constructor(address holder, uint256 supply) ERC20("Shrinking", "SHR") {
        _mint(holder, supply);
    }

    function setFee(uint256 feeBps) external {
        _feeBps = feeBps;
    }

    function _update(address from, address to, uint256 amount) internal override {
        uint256 fee = from == address(0) || to == address(0) ? 0 : amount * _feeBps / 10_000;
        super._update(from, to, amount - fee);
        if (fee != 0) super._update(from, address(0), fee);
    }
}
