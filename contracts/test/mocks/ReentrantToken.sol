// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @notice Makes one call, armed beforehand, in the middle of each transfer, and keeps how it ended.
contract ReentrantToken is ERC20 {
    address private _target;
    bytes private _data;
    uint256 public attempts;
    bool public succeeded;
    bytes4 public reason;

    constructor(address holder, uint256 supply) ERC20("Reentrant", "RE") {
        _mint(holder, supply);
    }

    function arm(address target, bytes calldata data) external {
        (_target, _data, attempts) = (target, data, 0);
    }

    function _update(address from, address to, uint256 amount) internal override {
        super._update(from, to, amount);
        if (_target == address(0)) return;
        bytes memory returned;
        (succeeded, returned) = _target.call(_data);
        reason = bytes4(returned);
        ++attempts;
    }
}
