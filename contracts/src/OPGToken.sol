// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";

/// @title A token that stands in for OPG on local chains
/// @notice For devnets and tests only: an ERC-20 of 18 decimals with ERC-2612 permits, whose whole supply is
///         minted once. A public deployment names the real OPG token instead and does not include this contract.
contract OPGToken is ERC20, ERC20Permit {
    /// @param holder Receives the whole supply.
    /// @param supply In base units (18 decimals).
    constructor(address holder, uint256 supply) ERC20("OpenGradient (devnet)", "OPG") ERC20Permit("OPG") {
        _mint(holder, supply);
    }
}
