// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {OPGToken} from "../../src/OPGToken.sol";
import {IInferenceOracle} from "../../src/interfaces/IInferenceOracle.sol";
import {AnswerCommitment} from "../../src/types/Answer.sol";
import {InferenceRequest, RequestParams} from "../../src/types/InferenceRequest.sol";
import {RequestState} from "../../src/types/RequestState.sol";
import {Deployment} from "../mocks/Deployment.sol";
import {GasBurnerConsumer} from "../mocks/GasBurnerConsumer.sol";
import {RecordingConsumer} from "../mocks/RecordingConsumer.sol";
import {ReturnBombConsumer} from "../mocks/ReturnBombConsumer.sol";
import {RevertingConsumer} from "../mocks/RevertingConsumer.sol";

/// @notice The same life of a request in two deployments that differ in nothing but how the consumer takes its
///         notices. Every balance must come out the same.
contract DifferentialTest is Deployment {
    enum Ending {
        Cancelled,
        Expired,
        Defaulted,
        Slashed,
        SlashedUnderDispute,
        Settled,
        SettledAfterDispute,
        SettledInBatch
    }

    System[2] private systems;
    address[2] private wellBehaved;
    address[4] private badlyBehaved;
    address private requester = makeAddr("requester");
    address private operator = makeAddr("operator");
    address private payout = makeAddr("payout");
    address private watcher = makeAddr("watcher");
    uint256 private signerKey;

    function setUp() public {
        address signer;
        (signer, signerKey) = makeAddrAndKey("signer");
        for (uint256 i; i < 2; ++i) {
            systems[i] = _deploy(address(new OPGToken(address(this), 1_000_000e18)));
            systems[i].token.transfer(operator, 10_000e18);
            systems[i].token.transfer(requester, 1_000e18);
            _register(systems[i], operator, signer, 10_000e18);
            vm.prank(operator);
            systems[i].staking.setPayout(payout);
            _deposit(systems[i], requester, 1_000e18);
        }
        wellBehaved = [address(0), address(new RecordingConsumer())];
        badlyBehaved = [
            address(new RevertingConsumer()),
            address(new GasBurnerConsumer()),
            address(new ReturnBombConsumer(100_000, true)),
            address(0xdead)
        ];
    }

    function testFuzz_Callback_MovesNoMoney(
        uint96 fee,
        uint96 bond,
        uint8 good,
        uint8 bad,
        uint32 gasLimit,
        bool eager,
        uint8 ending
    ) public {
        fee = uint96(bound(fee, 0, 100e18));
        uint96 minimum = systems[0].oracle.minimumBond(systems[0].modelId, fee);
        bond = uint96(bound(bond, minimum, 10_000e18));
        Ending end = Ending(ending % (uint8(type(Ending).max) + 1));
        uint256 start = vm.getBlockTimestamp();
        for (uint256 i; i < 2; ++i) {
            vm.warp(start);
            RequestParams memory params = _params(systems[i], fee);
            params.bond = bond;
            params.consumer = i == 0 ? wellBehaved[good % 2] : badlyBehaved[bad % 4];
            params.callbackGasLimit = uint32(bound(gasLimit, 0, 400_000));
            params.eager = eager;
            _live(systems[i], params, end);
        }

        (System memory a, System memory b) = (systems[0], systems[1]);
        address[4] memory everybody = [requester, operator, payout, watcher];
        for (uint256 i; i < everybody.length; ++i) {
            (uint96 balanceA, uint64 nonceA) = a.oracle.accounts(everybody[i]);
            (uint96 balanceB, uint64 nonceB) = b.oracle.accounts(everybody[i]);
            assertEq(balanceA, balanceB);
            assertEq(nonceA, nonceB);
            assertEq(a.staking.claimable(everybody[i]), b.staking.claimable(everybody[i]));
            assertEq(a.token.balanceOf(everybody[i]), b.token.balanceOf(everybody[i]));
        }
        assertEq(abi.encode(a.staking.positions(operator)), abi.encode(b.staking.positions(operator)));
        assertEq(a.staking.pendingBurn(), b.staking.pendingBurn());
        assertEq(a.token.balanceOf(address(a.oracle)), b.token.balanceOf(address(b.oracle)));
        assertEq(a.token.balanceOf(address(a.staking)), b.token.balanceOf(address(b.staking)));
    }

    function _live(System memory system, RequestParams memory params, Ending end) private {
        (, uint64 nonce) = system.oracle.accounts(requester);
        vm.prank(requester);
        bytes32 requestId = system.oracle.request(params, "input");
        InferenceRequest memory terms = _terms(params, requester, nonce, "input");
        if (end == Ending.Cancelled) {
            vm.prank(requester);
            system.oracle.cancel(terms);
        } else if (end == Ending.Expired) {
            vm.warp(terms.deadline + 1);
            system.oracle.expire(terms);
        } else {
            _accept(system, terms, operator, signerKey);
            if (end == Ending.Defaulted) {
                vm.warp(terms.deadline + 1);
                system.oracle.markDefaulted(terms, operator);
            } else {
                _judged(system, terms, end);
            }
        }
        (RequestState state,,,) = system.oracle.stateOf(requestId);
        assertGe(uint8(state), uint8(RequestState.Cancelled));
    }

    function _judged(System memory system, InferenceRequest memory terms, Ending end) private {
        AnswerCommitment memory commitment = _answer(system, terms, operator, signerKey, "result");
        if (end == Ending.SlashedUnderDispute || end == Ending.SettledAfterDispute) {
            system.court.suspend(terms, commitment);
        }
        if (end == Ending.Slashed || end == Ending.SlashedUnderDispute) {
            system.court.voidAnswer(terms, commitment, watcher);
            return;
        }
        if (end == Ending.SettledAfterDispute) {
            system.court.resume(terms, commitment, uint40(vm.getBlockTimestamp()) + terms.window);
        }
        vm.warp(vm.getBlockTimestamp() + terms.window);
        IInferenceOracle.SettleItem[] memory items = new IInferenceOracle.SettleItem[](2);
        items[0] = items[1] = IInferenceOracle.SettleItem(terms, commitment, "result");
        if (end == Ending.SettledInBatch) system.oracle.settleBatch(items);
        else system.oracle.settle(items[0]);
    }
}
