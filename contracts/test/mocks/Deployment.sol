// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {DisputeManager} from "../../src/DisputeManager.sol";
import {InferenceOracle} from "../../src/InferenceOracle.sol";
import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {OperatorStaking} from "../../src/OperatorStaking.sol";
import {IInferenceOracle} from "../../src/interfaces/IInferenceOracle.sol";
import {Accept} from "../../src/types/Accept.sol";
import {Answer, AnswerCommitment} from "../../src/types/Answer.sol";
import {InferenceRequest, RequestParams} from "../../src/types/InferenceRequest.sol";
import {ModelTerms, Tier, UNCERTIFIED} from "../../src/types/ModelTerms.sol";
import {MockCourt} from "./MockCourt.sol";
import {MockVerifier} from "./MockVerifier.sol";
import {Shipped} from "../support/Shipped.sol";

/// @notice What of an ERC-20 all tokens under test have, those without return values included.
interface IBareToken {
    function approve(address spender, uint256 amount) external;
    function transfer(address to, uint256 amount) external;
    function balanceOf(address account) external view returns (uint256);
}

/// @notice Deploys the contracts around any token and any number of times, and signs what they take.
abstract contract Deployment is Test {
    struct System {
        IBareToken token;
        MockCourt court;
        ModelRegistry registry;
        OperatorStaking staking;
        InferenceOracle oracle;
        bytes32 modelId;
    }

    uint40 internal constant MAX_TTL = 1 days;
    uint32 internal constant MAX_WINDOW = 2 hours;
    uint40 internal constant DISPUTE_ALLOWANCE = 1 hours;
    uint40 internal constant EXIT_DELAY = 2 days;
    uint40 internal constant SIGNER_DELAY = 1 hours;
    uint32 internal constant WINDOW = 1 hours;
    uint96 internal constant MIN_BOND = 1e18;
    uint64 internal constant BASE_DEPOSIT = 1e17;
    uint32 internal constant ANNOUNCEMENT_AGE = 1 minutes;
    uint32 internal constant PRIORITY_PERIOD = 1 days;
    address internal constant BURN_ADDRESS = 0x000000000000000000000000000000000000dEaD;

    /// @dev `token` must have been deployed; one model is registered.
    function _deploy(address token) internal returns (System memory system) {
        MockCourt court = new MockCourt();
        system = _deployFor(token, address(court));
        system.court = court;
        court.bind(system.oracle, system.staking);
    }

    /// @dev The same with the court that is shipped, before a verifier that believes its callers.
    function _deployWithDisputes(address token) internal returns (System memory system, DisputeManager disputes) {
        address court = address(bytes20(keccak256(abi.encode("court", token))));
        system = _deployFor(token, court);
        disputes = Shipped.disputesAt(
            court, address(system.oracle), address(new MockVerifier()), BASE_DEPOSIT, ANNOUNCEMENT_AGE, PRIORITY_PERIOD
        );
    }

    /// @dev Staking and the oracle name each other, so the oracle's address is computed before it exists.
    function _deployFor(address token, address court) internal returns (System memory system) {
        system.token = IBareToken(token);
        system.registry = Shipped.registry(court, 1, MAX_WINDOW);
        address oracle = vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1);
        system.staking = Shipped.staking(token, oracle, court, EXIT_DELAY, SIGNER_DELAY);
        system.oracle = Shipped.oracle(
            token, address(system.staking), address(system.registry), court, MAX_TTL, MAX_WINDOW, DISPUTE_ALLOWANCE
        );
        system.modelId = system.registry.register(_modelTerms(Tier.Exact), "digits", "{}", "");
    }

    function _modelTerms(Tier tier) internal pure returns (ModelTerms memory) {
        return ModelTerms({
            programRoot: keccak256("program"),
            profileHash: bytes32(0),
            schemaHash: keccak256("{}"),
            tier: tier,
            challengeWindow: WINDOW,
            revealWindow: 10 minutes,
            minBond: MIN_BOND,
            epsilon: tier == Tier.Unproven ? UNCERTIFIED : 0
        });
    }

    /// @dev The smallest request there is: any operator, no consumer.
    function _params(System memory system, uint96 fee) internal view returns (RequestParams memory params) {
        params.modelId = system.modelId;
        params.fee = fee;
        params.bond = 20 * fee > MIN_BOND ? 20 * fee : MIN_BOND;
        params.deadline = uint40(vm.getBlockTimestamp()) + 1 hours;
        params.window = WINDOW;
    }

    function _terms(RequestParams memory params, address requester, uint64 nonce, bytes memory input)
        internal
        pure
        returns (InferenceRequest memory)
    {
        return InferenceRequest({
            requester: requester,
            nonce: nonce,
            consumer: params.consumer,
            modelId: params.modelId,
            inputHash: sha256(input),
            operator: params.operator,
            fee: params.fee,
            bond: params.bond,
            valueAtRisk: params.valueAtRisk,
            deadline: params.deadline,
            window: params.window,
            callbackGasLimit: params.callbackGasLimit,
            eager: params.eager
        });
    }

    function _register(System memory system, address operator, address signer, uint96 stake) internal {
        vm.startPrank(operator);
        system.staking.register(signer, operator);
        if (stake != 0) {
            system.token.approve(address(system.staking), stake);
            system.staking.bond(operator, stake);
        }
        vm.stopPrank();
    }

    function _deposit(System memory system, address account, uint96 amount) internal {
        vm.startPrank(account);
        system.token.approve(address(system.oracle), amount);
        system.oracle.deposit(account, amount);
        vm.stopPrank();
    }

    function _accept(System memory system, InferenceRequest memory terms, address operator, uint256 key) internal {
        Accept memory acceptance = Accept(system.oracle.requestIdOf(terms), operator, terms.deadline);
        bytes memory signature = _sign(key, system.oracle.acceptDigest(acceptance));
        system.oracle.accept(terms, acceptance, signature);
    }

    function _answer(
        System memory system,
        InferenceRequest memory terms,
        address operator,
        uint256 key,
        bytes memory result
    ) internal returns (AnswerCommitment memory commitment) {
        bytes32 traceRoot = keccak256("trace");
        bytes memory signature =
            _sign(key, system.oracle.answerDigest(_answerOf(system, terms, operator, result, traceRoot)));
        system.oracle.answer(IInferenceOracle.AnswerItem(terms, result, traceRoot), operator, signature);
        return AnswerCommitment(operator, sha256(result), traceRoot);
    }

    function _answerOf(
        System memory system,
        InferenceRequest memory terms,
        address operator,
        bytes memory result,
        bytes32 traceRoot
    ) internal view returns (Answer memory) {
        return Answer({
            requestId: system.oracle.requestIdOf(terms),
            operator: operator,
            modelId: terms.modelId,
            inputHash: terms.inputHash,
            resultHash: sha256(result),
            traceRoot: traceRoot
        });
    }

    function _sign(uint256 key, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key, digest);
        return abi.encodePacked(r, s, v);
    }
}
