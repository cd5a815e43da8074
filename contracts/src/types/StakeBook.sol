// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice An operator's stake and obligations, in one word:
///         accepted (32 bits) | unanswered (32 bits) | locked (96 bits) | active (96 bits).
/// @dev `active` is the stake that is not unbonding; `locked <= active` always. Arithmetic is checked on each field.
type StakeBook is uint256;

using StakeBookLibrary for StakeBook global;

library StakeBookLibrary {
    function active(StakeBook book) internal pure returns (uint96) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint96(StakeBook.unwrap(book));
    }

    /// @notice Bonds of requests that are not over.
    function locked(StakeBook book) internal pure returns (uint96) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint96(StakeBook.unwrap(book) >> 96);
    }

    /// @notice Requests accepted and not answered yet.
    function unanswered(StakeBook book) internal pure returns (uint32) {
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint32(StakeBook.unwrap(book) >> 192);
    }

    /// @notice Requests ever accepted.
    function accepted(StakeBook book) internal pure returns (uint32) {
        return uint32(StakeBook.unwrap(book) >> 224);
    }

    /// @notice Stake that neither a request nor an exit holds.
    function free(StakeBook book) internal pure returns (uint96) {
        return book.active() - book.locked();
    }

    function pack(uint96 active_, uint96 locked_, uint32 unanswered_, uint32 accepted_)
        internal
        pure
        returns (StakeBook)
    {
        return
            StakeBook.wrap(uint256(accepted_) << 224 | uint256(unanswered_) << 192 | uint256(locked_) << 96 | active_);
    }

    function bonded(StakeBook book, uint96 amount) internal pure returns (StakeBook) {
        return pack(book.active() + amount, book.locked(), book.unanswered(), book.accepted());
    }

    function taken(StakeBook book, uint96 amount) internal pure returns (StakeBook) {
        return pack(book.active() - amount, book.locked(), book.unanswered(), book.accepted());
    }

    function withLock(StakeBook book, uint96 bond) internal pure returns (StakeBook) {
        return pack(book.active(), book.locked() + bond, book.unanswered() + 1, book.accepted() + 1);
    }

    function withAnswers(StakeBook book, uint32 count) internal pure returns (StakeBook) {
        return pack(book.active(), book.locked(), book.unanswered() - count, book.accepted());
    }

    function withRelease(StakeBook book, uint96 bond) internal pure returns (StakeBook) {
        return pack(book.active(), book.locked() - bond, book.unanswered(), book.accepted());
    }
}
