// SPDX-License-Identifier: MIT
pragma solidity ^0.8.27;

import {UNCERTIFIED} from "../types/ModelTerms.sol";

/// @title What an answer decides, given its error bar
/// @notice A model's certified error bar says how far a cheat that no judge would notice can move any float output.
///         A decision that would change within the bar is nobody's to take from the answer:
///
///             (Decision.Status status, uint256 label) = Decision.classify(scores, _epsilon(MODEL_ID));
///             if (status == Decision.Status.Ambiguous) ...    // ask a person, or ask for better input
///
///         Numbers have 18 decimals, as `Tensors.fixedAt` reads them. What it cuts off, below 1e-18, is for the bar to
///         cover. Labels that a model returns as integers have no error bar: take them from their scores.
/// @dev `Ambiguous` comes first, so that what was never set decides nothing.
library Decision {
    enum Status {
        Ambiguous,
        Clear
    }

    enum Verdict {
        Ambiguous,
        No,
        Yes
    }

    /// Of no labels none is the best.
    error NoScores();

    /// @notice The label with the best score, and whether no cheat within the bar could have made it so.
    /// @dev `Clear` takes a lead of more than twice the bar: the best may have been moved up and the next down, and
    ///      at exactly twice the bar they may be equal. So a tie is never clear; of one, `label` is the lowest.
    function classify(int256[] memory scoresWad, uint256 epsilonWad)
        internal
        pure
        returns (Status status, uint256 label)
    {
        require(scoresWad.length != 0, NoScores());
        int256 next;
        for (uint256 i = 1; i < scoresWad.length; ++i) {
            if (scoresWad[i] > scoresWad[label]) (next, label) = (scoresWad[label], i);
            else if (i == 1 || scoresWad[i] > next) next = scoresWad[i];
        }
        if (epsilonWad >= UNCERTIFIED) return (Status.Ambiguous, label);
        if (scoresWad.length == 1 || _distance(next, scoresWad[label]) > 2 * epsilonWad) status = Status.Clear;
    }

    /// @notice Whether a value is at least a threshold, wherever within the bar the honest value lies.
    function atLeast(int256 valueWad, int256 thresholdWad, uint256 epsilonWad) internal pure returns (Verdict) {
        if (epsilonWad >= UNCERTIFIED) return Verdict.Ambiguous;
        if (valueWad >= thresholdWad) {
            return _distance(thresholdWad, valueWad) >= epsilonWad ? Verdict.Yes : Verdict.Ambiguous;
        }
        return _distance(valueWad, thresholdWad) > epsilonWad ? Verdict.No : Verdict.Ambiguous;
    }

    /// @dev From `low` up to `high`. Any two `int256` are less than 2^256 apart, so the difference of their words,
    ///      taken without the check for a sign, is exact.
    function _distance(int256 low, int256 high) private pure returns (uint256) {
        unchecked {
            // casting to 'uint256' is safe because the wrapped difference is the distance
            // forge-lint: disable-next-line(unsafe-typecast)
            return uint256(high) - uint256(low);
        }
    }
}
