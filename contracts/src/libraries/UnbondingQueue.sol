// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @title Exits in the order they started
/// @dev All that was ever pushed lies on one line. An entry is the stretch that ends at `end`; everything before
///      `head` was paid out or slashed, everything from `head` to `tail` is still here. A slash moves `head`, so it
///      costs the same however many entries there are, and no entry can be paid from what came after it.
library UnbondingQueue {
    struct Entry {
        uint128 end;
        uint40 availableAt;
    }

    struct Queue {
        uint128 head;
        uint128 tail;
        Entry[] entries;
    }

    /// @notice Appends an exit. `availableAt` must not go back from one to the next.
    function push(Queue storage queue, uint96 amount, uint40 availableAt) internal returns (uint256 index) {
        uint128 end = queue.tail + amount;
        queue.tail = end;
        index = queue.entries.length;
        queue.entries.push(Entry({end: end, availableAt: availableAt}));
    }

    /// @notice Takes out all that is left up to and including `index`, which must exist.
    function popThrough(Queue storage queue, uint256 index) internal returns (uint96 amount) {
        uint128 end = queue.entries[index].end;
        amount = _width(queue.head, end);
        queue.head = end;
    }

    /// @notice Takes out up to `amount`, oldest first.
    function slash(Queue storage queue, uint96 amount) internal returns (uint96 taken) {
        uint96 left = total(queue);
        taken = amount < left ? amount : left;
        if (taken != 0) queue.head += taken;
    }

    /// @notice All that is still here.
    function total(Queue storage queue) internal view returns (uint96) {
        return _width(queue.head, queue.tail);
    }

    /// @notice What is left of one entry; zero where there is none.
    function entry(Queue storage queue, uint256 index) internal view returns (uint96 left, uint40 availableAt) {
        if (index >= queue.entries.length) return (0, 0);
        uint128 start = index == 0 ? 0 : queue.entries[index - 1].end;
        uint128 end = queue.entries[index].end;
        if (start < queue.head) start = queue.head;
        return (start < end ? _width(start, end) : 0, queue.entries[index].availableAt);
    }

    function _width(uint128 from, uint128 to) private pure returns (uint96) {
        // casting to 'uint96' is safe because what is here at once was bonded as `uint96` stake of one operator
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint96(to - from);
    }
}
