// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {IInferenceConsumer} from "../../src/interfaces/IInferenceConsumer.sol";
import {Notice} from "../../src/types/RequestState.sol";

/// @notice Makes the calls it was armed with from within each notice, and keeps how each of them ended.
contract ReentrantConsumer is IInferenceConsumer {
    struct Attempt {
        address target;
        bytes data;
    }

    struct Outcome {
        bool succeeded;
        bytes4 reason;
    }

    Attempt[] private _attempts;
    Outcome[] public outcomes;

    function arm(address target, bytes calldata data) external {
        _attempts.push(Attempt(target, data));
    }

    function disarm() external {
        delete _attempts;
    }

    /// @inheritdoc IInferenceConsumer
    function onInferenceNotice(bytes32, Notice, bytes32, bytes calldata) external {
        for (uint256 i; i < _attempts.length; ++i) {
            (bool succeeded, bytes memory returned) = _attempts[i].target.call(_attempts[i].data);
            outcomes.push(Outcome(succeeded, bytes4(returned)));
        }
    }

    /// @notice Makes a call in its own name outside a notice.
    function execute(address target, bytes calldata data) external returns (bytes memory returned) {
        bool succeeded;
        (succeeded, returned) = target.call(data);
        require(succeeded, string(returned));
    }

    function count() external view returns (uint256) {
        return outcomes.length;
    }
}
