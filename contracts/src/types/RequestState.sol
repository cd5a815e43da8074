// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

/// @notice Where a request stands. `Cancelled` and everything after it is terminal.
enum RequestState {
    None,
    Requested,
    Accepted,
    Answered,
    RevealPending,
    Cancelled,
    Expired,
    Defaulted,
    Slashed,
    Settled
}

/// @notice Where the consumer's notice stands. Independent of money, which never waits for it.
enum DeliveryState {
    None,
    Delivered,
    Failed
}

/// @notice What a notice to a consumer means.
enum Notice {
    /// An answer that can still be disputed (eager requests only).
    Answered,
    /// An answer that is final.
    Final,
    /// There is no answer: the request expired, or its operator defaulted or was slashed.
    Voided
}
