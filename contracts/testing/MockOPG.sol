// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// @title OPG for unit tests
/// @notice Anybody mints any amount: for the tests of contracts that ask, and for nothing else.
contract MockOPG is ERC20 {
    constructor() ERC20("OPG of a test", "OPG") {}

    function mint(address to, uint256 amount) external {
        _mint(to, amount);
    }
}
