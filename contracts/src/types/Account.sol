// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice What the oracle keeps of a requester or payee, in one word:
///         free (96 bits) | nonce (64 bits) | balance (96 bits).
type Account is uint256;

using AccountLibrary for Account global;

library AccountLibrary {
    uint256 private constant NONCE_SHIFT = 96;

    /// @notice OPG base units that can be spent or withdrawn.
    function balance(Account account) internal pure returns (uint96) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint96(Account.unwrap(account));
    }

    /// @notice Nonce of the next direct request.
    function nonce(Account account) internal pure returns (uint64) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint64(Account.unwrap(account) >> NONCE_SHIFT);
    }

    function pack(uint96 balance_, uint64 nonce_) internal pure returns (Account) {
        return Account.wrap(uint256(nonce_) << NONCE_SHIFT | balance_);
    }

    function credit(Account account, uint96 amount) internal pure returns (Account) {
        return pack(account.balance() + amount, account.nonce());
    }

    function debit(Account account, uint96 amount) internal pure returns (Account) {
        return pack(account.balance() - amount, account.nonce());
    }

    function withNextNonce(Account account) internal pure returns (Account) {
        return pack(account.balance(), account.nonce() + 1);
    }
}
