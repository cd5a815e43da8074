// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Nest, Site} from "./Nest.sol";
import {Evidence} from "./Openings.sol";
import {Instruction, ProgramRecord} from "./ProgramRecord.sol";
import {Runs} from "./Runs.sol";

/// @notice What was gathered of the operands that are read at every tap.
struct Gathered {
    /// False where a tap that counts lies outside of its tensor.
    bool defined;
    /// Taps that count.
    uint256 count;
    /// Of each operand its elements at these taps, packed.
    bytes[] operands;
    /// Their numbers; empty where all count, or where nobody asked.
    uint256[] taps;
}

/// @title Gathers the operands of a sum (or of any reduction) over the taps that count
/// @dev Guards of programs ask for one reduction axis each: the taps that count are a box, which every operand walks by
///      itself in long runs. Where a guard asks for more, or the numbers of the taps are wanted, taps are tried one by one.
///      Of a dense layer there is one axis and no guard: one run for each operand, and nothing to plan.
///      Where no numbers are wanted the order of the taps is free, as long as all operands have the same: that with the
///      fewer runs of two is taken.
library Gather {
    using ProgramRecord for bytes;

    /// @dev An operand, with the domain's part of its maps added up.
    struct Reader {
        Evidence evidence;
        uint256 bytes_;
        uint256 map;
        int256 base;
        uint256 guards;
        int256[] guardBases;
    }

    /// @dev The reduction indices that count, from `low` to before `high`; by axis.
    struct Box {
        bool exists;
        bool empty;
        int256[] low;
        int256[] high;
    }

    /// @dev The axes of a box as one operand walks them, the innermost first; neighbours that go on where the other ends
    ///      are one.
    struct Walk {
        /// The position at which it begins.
        int256 base;
        uint256 rank;
        uint256[] lengths;
        int256[] strides;
        uint256[] index;
    }

    uint256 private constant FEW_RUNS = 8;
    /// @dev A nest of more taps is never run. Memory for so many cannot be had, but its end could wrap.
    uint256 private constant MOST_TAPS = type(uint32).max;

    error TooManyTaps(uint256 taps);

    /// @notice Gathers the first `perTap` operands.
    function gather(Site memory site, bytes calldata record, uint256 perTap, bool numbered)
        internal
        pure
        returns (Gathered memory found)
    {
        Instruction memory step = site.step;
        if (_isLine(step, record, perTap)) return _gatherLine(site, record, perTap);
        uint256 taps = 1;
        for (uint256 axis; axis < step.reductionRank; ++axis) {
            taps *= record.word(step.reduction + axis);
        }
        if (taps > MOST_TAPS) revert TooManyTaps(taps);
        Reader[] memory readers = new Reader[](perTap);
        found.operands = new bytes[](perTap);
        bool guarded;
        for (uint256 number; number < perTap; ++number) {
            readers[number] = _reader(site, record, number);
            found.operands[number] = _allocate(taps * readers[number].bytes_);
            if (readers[number].guardBases.length != 0) guarded = true;
        }
        found.defined = true;
        if (taps != 0) {
            Box memory box = _box(step, record, readers);
            if (box.exists && !(numbered && guarded)) {
                if (!box.empty) _gatherBox(step, record, readers, found, box, numbered);
            } else {
                _gatherTaps(step, record, readers, found, taps, numbered);
            }
        }
        for (uint256 number; number < perTap; ++number) {
            _truncate(found.operands[number], found.count * readers[number].bytes_);
        }
    }

    // ---- a line

    /// @dev Whether there is one reduction axis, and every tap counts.
    function _isLine(Instruction memory step, bytes calldata record, uint256 perTap) private pure returns (bool) {
        if (step.reductionRank != 1) return false;
        for (uint256 number; number < perTap; ++number) {
            if (record.word(step.operands[number].map + step.domainRank + 2) != 0) return false;
        }
        return true;
    }

    function _gatherLine(Site memory site, bytes calldata record, uint256 perTap)
        private
        pure
        returns (Gathered memory found)
    {
        uint256 taps = record.word(site.step.reduction);
        found.operands = new bytes[](perTap);
        for (uint256 number; number < perTap; ++number) {
            Evidence memory evidence = site.evidence[number];
            uint256 map = site.step.operands[number].map;
            int256 first = Nest.partialSum(record, map, site.index);
            int256 stride = record.signed(map + 1 + site.step.domainRank);
            bytes memory buffer = _allocate(taps * evidence.size);
            found.operands[number] = buffer;
            if (taps != 0) {
                int256 last = first + stride * int256(taps - 1);
                int256 count = int256(evidence.count);
                if (first < 0 || first >= count || last < 0 || last >= count) return found;
                uint256 target;
                assembly ("memory-safe") {
                    target := add(buffer, 0x20)
                }
                Runs.copy(evidence, uint256(first), stride, taps, target);
            }
            _truncate(buffer, buffer.length);
        }
        (found.defined, found.count) = (true, taps);
    }

    // ---- a box

    function _box(Instruction memory step, bytes calldata record, Reader[] memory readers)
        private
        pure
        returns (Box memory box)
    {
        uint256 rank = step.reductionRank;
        box.exists = true;
        box.low = new int256[](rank);
        box.high = new int256[](rank);
        for (uint256 axis; axis < rank; ++axis) {
            box.high[axis] = int256(record.word(step.reduction + axis));
        }
        uint256 words = step.domainRank + rank + 2;
        for (uint256 number; number < readers.length; ++number) {
            Reader memory reader = readers[number];
            for (uint256 guard; guard < reader.guardBases.length; ++guard) {
                _narrow(step, record, box, reader.guards + guard * words, reader.guardBases[guard]);
            }
        }
        for (uint256 axis; axis < rank; ++axis) {
            if (box.low[axis] >= box.high[axis]) box.empty = true;
        }
    }

    /// @dev Keeps of the box what one guard admits; there is no box where that is none.
    function _narrow(Instruction memory step, bytes calldata record, Box memory box, uint256 map, int256 base)
        private
        pure
    {
        uint256 rank = box.low.length;
        uint256 first = map + 1 + step.domainRank;
        int256 limit = record.signed(first + rank);
        uint256 chosen = rank;
        for (uint256 axis; axis < rank; ++axis) {
            if (record.word(first + axis) == 0 || record.word(step.reduction + axis) == 1) continue;
            if (chosen != rank) box.exists = false;
            chosen = axis;
        }
        if (chosen == rank) {
            if (base < 0 || base >= limit) box.empty = true;
            return;
        }
        // from <= slope·index <= to
        int256 slope = record.signed(first + chosen);
        (int256 from, int256 to) = (-base, limit - 1 - base);
        if (slope < 0) (slope, from, to) = (-slope, -to, -from);
        int256 low = -_floor(-from, slope);
        int256 high = _floor(to, slope) + 1;
        if (low > box.low[chosen]) box.low[chosen] = low;
        if (high < box.high[chosen]) box.high[chosen] = high;
    }

    function _gatherBox(
        Instruction memory step,
        bytes calldata record,
        Reader[] memory readers,
        Gathered memory found,
        Box memory box,
        bool numbered
    ) private pure {
        Walk[] memory walks = _walks(
            step, record, readers, box, _order(step, record, readers[0].map, box, numbered, false)
        );
        // Long axes inside are worth a try where short ones inside make many short runs.
        if (!numbered && _runs(walks) > FEW_RUNS) {
            Walk[] memory others =
                _walks(step, record, readers, box, _order(step, record, readers[0].map, box, false, true));
            if (_runs(others) < _runs(walks)) walks = others;
        }
        uint256 count = 1;
        for (uint256 axis; axis < box.low.length; ++axis) {
            count *= uint256(box.high[axis] - box.low[axis]);
        }
        for (uint256 number; number < readers.length; ++number) {
            if (!_isWithin(walks[number], readers[number])) {
                found.defined = false;
                return;
            }
            _copyWalk(walks[number], readers[number], found.operands[number]);
        }
        found.count = count;
    }

    /// @dev The reduction axes: by how far operand 0 moves along them, the least first, or by how long they are, the longest
    ///      first; as they are where their order matters.
    function _order(
        Instruction memory step,
        bytes calldata record,
        uint256 map,
        Box memory box,
        bool numbered,
        bool byLength
    ) private pure returns (uint256[] memory order) {
        uint256 rank = step.reductionRank;
        order = new uint256[](rank);
        int256[] memory keys = new int256[](rank);
        for (uint256 place; place < rank; ++place) {
            uint256 axis = rank - 1 - place;
            int256 stride = record.signed(map + 1 + step.domainRank + axis);
            int256 key = stride < 0 ? -stride : stride;
            if (byLength) key = box.low[axis] - box.high[axis];
            if (numbered) key = 0;
            uint256 free = place;
            for (; free != 0 && keys[free - 1] > key; --free) {
                (order[free], keys[free]) = (order[free - 1], keys[free - 1]);
            }
            (order[free], keys[free]) = (axis, key);
        }
    }

    function _walks(
        Instruction memory step,
        bytes calldata record,
        Reader[] memory readers,
        Box memory box,
        uint256[] memory order
    ) private pure returns (Walk[] memory walks) {
        walks = new Walk[](readers.length);
        for (uint256 number; number < readers.length; ++number) {
            walks[number] = _walk(step, record, readers[number], box, order);
        }
    }

    function _walk(
        Instruction memory step,
        bytes calldata record,
        Reader memory reader,
        Box memory box,
        uint256[] memory order
    ) private pure returns (Walk memory walk) {
        uint256 rank = order.length;
        walk.lengths = new uint256[](rank + 1);
        walk.strides = new int256[](rank + 1);
        walk.index = new uint256[](rank + 1);
        walk.lengths[0] = 1;
        walk.rank = 1;
        walk.base = reader.base;
        for (uint256 place; place < rank; ++place) {
            uint256 axis = order[place];
            int256 stride = record.signed(reader.map + 1 + step.domainRank + axis);
            walk.base += stride * box.low[axis];
            uint256 length = uint256(box.high[axis] - box.low[axis]);
            if (length == 1) continue;
            uint256 last = walk.rank - 1;
            if (walk.lengths[last] == 1) {
                (walk.lengths[last], walk.strides[last]) = (length, stride);
            } else if (stride == walk.strides[last] * int256(walk.lengths[last])) {
                walk.lengths[last] *= length;
            } else {
                (walk.lengths[last + 1], walk.strides[last + 1]) = (length, stride);
                ++walk.rank;
            }
        }
    }

    /// @dev How many runs it takes to copy all operands.
    function _runs(Walk[] memory walks) private pure returns (uint256 runs) {
        for (uint256 number; number < walks.length; ++number) {
            uint256 product = 1;
            for (uint256 axis = 1; axis < walks[number].rank; ++axis) {
                product *= walks[number].lengths[axis];
            }
            runs += product;
        }
    }

    function _isWithin(Walk memory walk, Reader memory reader) private pure returns (bool) {
        (int256 lowest, int256 highest) = (walk.base, walk.base);
        for (uint256 axis; axis < walk.rank; ++axis) {
            int256 reach = walk.strides[axis] * int256(walk.lengths[axis] - 1);
            if (reach < 0) lowest += reach;
            else highest += reach;
        }
        return lowest >= 0 && highest < int256(reader.evidence.count);
    }

    /// @dev Copies all elements of a walk, whose positions are inside the tensor.
    function _copyWalk(Walk memory walk, Reader memory reader, bytes memory buffer) private pure {
        uint256 position = uint256(walk.base);
        uint256 target;
        assembly ("memory-safe") {
            target := add(buffer, 0x20)
        }
        uint256 run = walk.lengths[0];
        int256 stride = walk.strides[0];
        // Positions are sums of parts that may be negative, modulo 2^256.
        unchecked {
            while (true) {
                Runs.copy(reader.evidence, position, stride, run, target);
                target += run * reader.bytes_;
                uint256 axis = 1;
                for (; axis < walk.rank; ++axis) {
                    uint256 next = walk.index[axis] + 1;
                    uint256 step = uint256(walk.strides[axis]);
                    if (next < walk.lengths[axis]) {
                        walk.index[axis] = next;
                        position += step;
                        break;
                    }
                    walk.index[axis] = 0;
                    position -= step * (next - 1);
                }
                if (axis == walk.rank) return;
            }
        }
    }

    // ---- tap by tap

    function _gatherTaps(
        Instruction memory step,
        bytes calldata record,
        Reader[] memory readers,
        Gathered memory found,
        uint256 taps,
        bool numbered
    ) private pure {
        uint256[] memory numbers = new uint256[](numbered ? taps : 0);
        uint256[] memory index = new uint256[](step.reductionRank);
        for (uint256 tap; tap < taps; ++tap) {
            uint256 rest = tap;
            for (uint256 axis = index.length; axis != 0;) {
                --axis;
                uint256 length = record.word(step.reduction + axis);
                (index[axis], rest) = (rest % length, rest / length);
            }
            if (!_counts(step, record, readers, index)) continue;
            for (uint256 number; number < readers.length; ++number) {
                if (!_copyTap(step, record, readers[number], index, found.operands[number], found.count)) {
                    found.defined = false;
                    return;
                }
            }
            if (numbered) numbers[found.count] = tap;
            ++found.count;
        }
        if (found.count == taps) return;
        uint256 count = numbered ? found.count : 0;
        assembly ("memory-safe") {
            mstore(numbers, count)
        }
        found.taps = numbers;
    }

    function _counts(Instruction memory step, bytes calldata record, Reader[] memory readers, uint256[] memory index)
        private
        pure
        returns (bool)
    {
        uint256 words = step.domainRank + step.reductionRank + 2;
        for (uint256 number; number < readers.length; ++number) {
            Reader memory reader = readers[number];
            for (uint256 guard; guard < reader.guardBases.length; ++guard) {
                uint256 map = reader.guards + guard * words;
                int256 place = _reduced(step, record, map, reader.guardBases[guard], index);
                if (place < 0 || place >= record.signed(map + words - 1)) return false;
            }
        }
        return true;
    }

    function _copyTap(
        Instruction memory step,
        bytes calldata record,
        Reader memory reader,
        uint256[] memory index,
        bytes memory buffer,
        uint256 count
    ) private pure returns (bool) {
        int256 position = _reduced(step, record, reader.map, reader.base, index);
        if (position < 0 || position >= int256(reader.evidence.count)) return false;
        uint256 target;
        uint256 bytes_ = reader.bytes_;
        assembly ("memory-safe") {
            target := add(add(buffer, 0x20), mul(count, bytes_))
        }
        Runs.copy(reader.evidence, uint256(position), 1, 1, target);
        return true;
    }

    /// @dev Adds the reduction's part to what a map gives.
    function _reduced(Instruction memory step, bytes calldata record, uint256 map, int256 sum, uint256[] memory index)
        private
        pure
        returns (int256)
    {
        uint256 first = map + 1 + step.domainRank;
        unchecked {
            for (uint256 axis; axis < index.length; ++axis) {
                sum += record.signed(first + axis) * int256(index[axis]);
            }
        }
        return sum;
    }

    // ---- helpers

    function _reader(Site memory site, bytes calldata record, uint256 number)
        private
        pure
        returns (Reader memory reader)
    {
        Instruction memory step = site.step;
        uint256 words = step.domainRank + step.reductionRank + 2;
        reader.evidence = site.evidence[number];
        reader.bytes_ = reader.evidence.size;
        reader.map = step.operands[number].map;
        reader.base = Nest.partialSum(record, reader.map, site.index);
        reader.guards = reader.map + words;
        reader.guardBases = new int256[](record.word(reader.guards - 1));
        for (uint256 guard; guard < reader.guardBases.length; ++guard) {
            reader.guardBases[guard] = Nest.partialSum(record, reader.guards + guard * words, site.index);
        }
    }

    /// @dev Bytes that are not cleared, and two words behind them.
    function _allocate(uint256 length) private pure returns (bytes memory buffer) {
        assembly ("memory-safe") {
            buffer := mload(0x40)
            mstore(0x40, add(buffer, and(add(length, 0x7f), not(0x1f))))
            mstore(buffer, length)
        }
    }

    /// @dev Cuts a buffer to what was gathered, and clears the words behind it.
    function _truncate(bytes memory buffer, uint256 length) private pure {
        // Memory-safe: `_allocate` left two words behind the buffer.
        assembly ("memory-safe") {
            mstore(buffer, length)
            let end := add(add(buffer, 0x20), length)
            mstore(end, 0)
            mstore(add(end, 0x20), 0)
        }
    }

    /// @dev floor(value / divisor), for a positive divisor.
    function _floor(int256 value, int256 divisor) private pure returns (int256 quotient) {
        quotient = value / divisor;
        if (value % divisor != 0 && value < 0) --quotient;
    }
}
