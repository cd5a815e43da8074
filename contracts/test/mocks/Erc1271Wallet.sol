// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @notice A contract account of one key, which can be told to answer badly.
contract Erc1271Wallet is IERC1271 {
    enum Mode {
        /// Says yes to the owner's signatures and no to all others.
        Honest,
        /// Returns the right four bytes and no more.
        Short,
        /// Returns the right four bytes with other bits behind them.
        Dirty,
        /// Returns nothing.
        Silent,
        /// Reverts.
        Reverting,
        /// Returns megabytes.
        Bomb
    }

    address public immutable OWNER;
    Mode public mode;

    error Refused();

    constructor(address owner) {
        OWNER = owner;
    }

    function setMode(Mode mode_) external {
        mode = mode_;
    }

    /// @inheritdoc IERC1271
    function isValidSignature(bytes32 hash, bytes calldata signature) external view returns (bytes4) {
        Mode mode_ = mode;
        require(mode_ != Mode.Reverting, Refused());
        bytes32 word = IERC1271.isValidSignature.selector;
        uint256 length;
        if (mode_ == Mode.Honest) {
            (address signer,,) = ECDSA.tryRecoverCalldata(hash, signature);
            return signer == OWNER ? IERC1271.isValidSignature.selector : bytes4(0xffffffff);
        } else if (mode_ == Mode.Short) {
            length = 4;
        } else if (mode_ == Mode.Dirty) {
            word |= bytes32(uint256(1));
            length = 32;
        } else if (mode_ == Mode.Bomb) {
            word = 0;
            length = 1_000_000;
        }
        // Nothing runs after this, so the scratch space and whatever follows is free.
        assembly {
            mstore(0, word)
            return(0, length)
        }
    }
}
