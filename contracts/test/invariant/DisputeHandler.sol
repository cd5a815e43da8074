// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {DisputeManager} from "../../src/DisputeManager.sol";
import {OPGToken} from "../../src/OPGToken.sol";
import {Verdict} from "../../src/court/Case.sol";
import {IDisputeManager} from "../../src/interfaces/IDisputeManager.sol";
import {IFraudVerifier} from "../../src/interfaces/IFraudVerifier.sol";
import {IInferenceOracle} from "../../src/interfaces/IInferenceOracle.sol";
import {Answer} from "../../src/types/Answer.sol";
import {RevealDemand, SignedAnswer} from "../../src/types/Dispute.sol";
import {RequestParams} from "../../src/types/InferenceRequest.sol";
import {RequestState} from "../../src/types/RequestState.sol";
import {ModelTerms, Tier} from "../../src/types/ModelTerms.sol";
import {MockVerifier} from "../mocks/MockVerifier.sol";
import {DisputeLedger} from "./DisputeLedger.sol";

/// @notice Drives every verb of the court in the name of operators, requesters and watchers, who overlap: an operator
///         demands of itself, a requester watches, and anybody announces what anybody proves.
contract DisputeHandler is DisputeLedger {
    uint256 private constant FUNDS = 100_000e18;
    uint256 private constant MAX_TRACKED = 12;
    uint256 private constant NONE = type(uint256).max;

    address[] public operators;
    MockVerifier private verifier;
    uint256 private signerKey;
    mapping(address account => uint64) private _nonces;

    /// @notice How often each verb came through.
    mapping(string verb => uint256) public done;

    constructor() {
        (system, disputes) = _deployWithDisputes(address(new OPGToken(address(this), 10 * FUNDS)));
        verifier = MockVerifier(disputes.VERIFIER());
        address signer;
        (signer, signerKey) = makeAddrAndKey("signer");
        for (uint256 i; i < 5; ++i) {
            address actor = makeAddr(string.concat("actor", vm.toString(i)));
            actors.push(actor);
            system.token.transfer(actor, FUNDS);
            vm.prank(actor);
            system.token.approve(address(disputes), type(uint256).max);
            if (i < 2) {
                operators.push(actor);
                _register(system, actor, signer, 50_000e18);
            } else if (i < 4) {
                _deposit(system, actor, 50_000e18);
            }
        }
    }

    function contracts() external view returns (System memory, DisputeManager) {
        return (system, disputes);
    }

    // ---- what disputes live on

    function warp(uint256 seed) external {
        vm.warp(vm.getBlockTimestamp() + (seed % 8 == 0 ? 1 days : bound(seed, 1, 15 minutes)));
        ++done["warp"];
    }

    /// @notice Asks, accepts and answers.
    function answer(uint256 seed) external {
        if (tracked.length == MAX_TRACKED) return;
        address operator = operators[seed % 2];
        address requester = actors[2 + (seed >> 8) % 2];
        RequestParams memory params = _params(system, uint96(bound(seed >> 16, 0, 10e18)));
        Tracked memory request;
        request.terms = _terms(params, requester, _nonces[requester]++, "input");
        vm.prank(requester);
        request.requestId = system.oracle.request(params, "input");
        _accept(system, request.terms, operator, signerKey);
        request.result = "result";
        request.commitment = _answer(system, request.terms, operator, signerKey, request.result);
        tracked.push(request);
        ++done["answer"];
    }

    function settle(uint256 seed) external {
        for (uint256 i; i < tracked.length; ++i) {
            if (_settle((seed % tracked.length + i) % tracked.length)) return;
        }
    }

    // ---- fraud

    function announce(uint256 seed) external {
        uint256 i = _live(seed);
        if (i == NONE) return;
        (address account, uint256 version) = (actors[(seed >> 8) % 5], (seed >> 16) % 2);
        disputes.announce(_announcement(i, account, version));
        ++done["announce"];
    }

    function proveFraud(uint256 seed) external {
        uint256 i = _live(seed);
        // Live answers are what everything else lives on.
        if (i == NONE || (seed >> 24) % 2 == 0) return;
        (address account, uint256 version) = (actors[(seed >> 8) % 5], (seed >> 16) % 2);
        uint40 announced = disputes.announcedAt(_announcement(i, account, version));
        bool direct = announced != 0 && vm.getBlockTimestamp() - announced >= ANNOUNCEMENT_AGE;
        uint256 wealth = _coalition(i, account, account);
        uint256 toBurnBefore = system.staking.pendingBurn();
        uint256 share = system.staking.claimable(account);
        bytes memory proof = _proof(i, version);
        vm.prank(account);
        disputes.proveFraud(tracked[i].terms, tracked[i].commitment, address(this), _modelTerms(Tier.Exact), proof, 0);
        _bookSlash(i, tracked[i].terms.bond, toBurnBefore);
        if (direct) {
            if (account != tracked[i].terms.requester) {
                share = system.staking.claimable(account) - share;
                _require(share == uint256(tracked[i].terms.bond) * 3 / 10, "paid another share");
            }
            ++done["proveFraudAnnounced"];
        } else {
            _bookShare(i, account, announced == 0 ? uint40(vm.getBlockTimestamp()) : announced);
            ++done["proveFraud"];
        }
        _require(_coalition(i, account, account) < wealth, "a coalition did not lose by a conviction");
    }

    function claimPriority(uint256 seed) external {
        for (uint256 j; j < 5 * 2 * tracked.length; ++j) {
            uint256 place = (seed % 1_000 + j) % (5 * 2 * tracked.length);
            (uint256 i, address account, uint256 version) = (place / 10, actors[place % 5], place / 5 % 2);
            Held memory share = held[tracked[i].requestId];
            if (share.holder == address(0) || vm.getBlockTimestamp() > share.until) continue;
            uint40 announced = disputes.announcedAt(_announcement(i, account, version));
            bytes memory proof = _proof(i, version);
            vm.prank(account);
            try disputes.claimPriority(tracked[i].requestId, _claim(i), proof, 0) {
                _require(announced != 0 && announced < share.announcedAt, "took a share without priority");
                (held[tracked[i].requestId].holder, held[tracked[i].requestId].announcedAt) = (account, announced);
                ++done["claimPriority"];
                return;
            } catch {
                _require(announced == 0 || announced >= share.announcedAt, "priority was refused");
            }
        }
    }

    function collect(uint256 seed) external {
        for (uint256 i; i < tracked.length; ++i) {
            bytes32 requestId = tracked[(seed % tracked.length + i) % tracked.length].requestId;
            if (held[requestId].holder == address(0) || vm.getBlockTimestamp() <= held[requestId].until) continue;
            disputes.collect(requestId);
            _bookCollected(requestId);
            ++done["collect"];
            return;
        }
    }

    // ---- reveals

    function demand(uint256 seed) external {
        uint256 i = _live(seed);
        if (i == NONE) return;
        ModelTerms memory modelTerms = _modelTerms(Tier.Exact);
        uint256 limit = system.oracle.disputeLimit(tracked[i].terms);
        if (vm.getBlockTimestamp() + 2 * modelTerms.revealWindow > limit) return;
        RevealDemand memory made;
        made.requestId = tracked[i].requestId;
        made.number = uint32(madeOf[made.requestId]);
        made.demander = actors[(seed >> 8) % 5];
        made.leaves = IFraudVerifier.Demand(1, 0, 0, 0, 99, 1_024, 65_536, made.number, uint32((seed >> 16) % 3 + 1));
        uint256 price =
            (uint256(BASE_DEPOSIT) * made.leaves.count * (1 + made.number / 16)) << pendingOf[made.requestId];
        if (price > system.token.balanceOf(made.demander)) return;
        made.deposit = uint96(price);
        made.window = modelTerms.revealWindow;
        made.deadline = uint40(vm.getBlockTimestamp()) + made.window;
        made.programRoot = modelTerms.programRoot;
        made.commitment = tracked[i].commitment;
        bytes memory place = abi.encode(made.programRoot, made.leaves);
        vm.prank(made.demander);
        disputes.demandReveal(tracked[i].terms, tracked[i].commitment, address(this), modelTerms, place, made.deposit);
        _require(disputes.isPending(made), "another demand was made");
        _bookDemand(made);
        ++done["demand"];
    }

    function reveal(uint256 seed) external {
        uint256 place = _meetable(seed);
        if (place == NONE) return;
        RevealDemand memory met = pending[place];
        uint256 i = _indexOf(met.requestId);
        uint256 wealth = _coalition(i, met.demander, met.demander);
        bytes memory data = verifier.dataOf(met.programRoot, met.commitment.traceRoot, met.leaves);
        bytes32[] memory path = new bytes32[](1);
        path[0] = keccak256(data);
        if ((seed >> 128) % 4 == 0) {
            bytes32 treeRoot = verifier.treeRootOf(met.programRoot, met.commitment.traceRoot, 2);
            disputes.dismiss(tracked[i].terms, met, 2, treeRoot);
            ++done["dismiss"];
        } else {
            disputes.reveal(tracked[i].terms, met, data, path);
            ++done["reveal"];
        }
        _bookMet(place);
        _require(_coalition(i, met.demander, met.demander) < wealth, "a coalition did not lose by a reveal");
        (RequestState state,, uint40 settleAt,) = system.oracle.stateOf(met.requestId);
        if (state == RequestState.Answered) {
            _require(settleAt >= vm.getBlockTimestamp() + met.window, "no time to use what was revealed");
        }
    }

    function timeOut(uint256 seed) external {
        for (uint256 j; j < pending.length; ++j) {
            uint256 place = (seed % pending.length + j) % pending.length;
            RevealDemand memory silent = pending[place];
            if (vm.getBlockTimestamp() <= silent.deadline) continue;
            if (_stateOf(silent.requestId) != RequestState.RevealPending) continue;
            uint256 i = _indexOf(silent.requestId);
            uint256 wealth = _coalition(i, silent.demander, silent.demander);
            uint256 toBurnBefore = system.staking.pendingBurn();
            disputes.revealTimeout(tracked[i].terms, silent);
            _bookSlash(i, tracked[i].terms.bond, toBurnBefore);
            _bookReturned(place);
            _require(_coalition(i, silent.demander, silent.demander) < wealth, "a coalition did not lose by silence");
            ++done["timeOut"];
            return;
        }
    }

    function refund(uint256 seed) external {
        for (uint256 j; j < pending.length; ++j) {
            uint256 place = (seed % pending.length + j) % pending.length;
            RequestState state = _stateOf(pending[place].requestId);
            if (state != RequestState.Slashed && state != RequestState.Settled) continue;
            disputes.refundDemand(pending[place]);
            _bookReturned(place);
            ++done["refund"];
            return;
        }
    }

    // ---- equivocation

    function equivocate(uint256 seed) external {
        if (tracked.length == 0 || seed % 3 != 0) return;
        uint256 i = (seed >> 8) % tracked.length;
        Tracked memory request = tracked[i];
        SignedAnswer memory first = _signed(i, request.commitment.resultHash);
        SignedAnswer memory second = _signed(i, keccak256("another"));
        address account = actors[(seed >> 16) % 5];
        RequestState state = _stateOf(request.requestId);
        (,, uint40 settleAt,) = system.oracle.stateOf(request.requestId);
        bool live = state == RequestState.RevealPending
            || (state == RequestState.Answered && vm.getBlockTimestamp() < settleAt);
        uint256 expected = live ? request.terms.bond : 0;
        if (state == RequestState.Settled) expected = request.terms.bond - slashedFor[request.requestId];
        uint256 wealth = _coalition(i, account, account);
        uint256 toBurnBefore = system.staking.pendingBurn();
        uint256 stake = system.staking.positions(request.commitment.operator).stake;
        vm.prank(account);
        try disputes.slashEquivocation(request.terms, request.commitment, first, second) {
            stake -= system.staking.positions(request.commitment.operator).stake;
            _require(stake == expected && stake != 0, "another amount for equivocation");
            _bookSlash(i, stake, toBurnBefore);
            _require(_coalition(i, account, account) < wealth, "a coalition did not lose by equivocation");
            ++done[live ? "equivocateLive" : "equivocateSettled"];
        } catch {
            _require(expected == 0, "equivocation went unpunished");
        }
    }

    // ---- money

    function claim(uint256 seed) external {
        address account = actors[seed % 5];
        if (claimableOf[account] == 0) return;
        uint256 before = system.token.balanceOf(account);
        vm.prank(account);
        disputes.claim(account);
        _require(system.token.balanceOf(account) == before + claimableOf[account], "claimed another amount");
        claimableOf[account] = 0;
        ++done["claim"];
    }

    function burn() external {
        if (toBurn == 0) return;
        _require(disputes.burn() == toBurn, "burned another amount");
        toBurn = 0;
        ++done["burn"];
    }

    // ---- the end

    /// @notice Ends every dispute by whatever anybody can call, and pays everybody out.
    function windUp() external {
        vm.warp(vm.getBlockTimestamp() + 3 days);
        for (uint256 i; i < tracked.length; ++i) {
            _settle(i);
            bytes32 requestId = tracked[i].requestId;
            if (held[requestId].holder == address(0)) continue;
            disputes.collect(requestId);
            _bookCollected(requestId);
        }
        while (pending.length != 0) {
            disputes.refundDemand(pending[0]);
            _bookReturned(0);
        }
        for (uint256 i; i < 5; ++i) {
            if (claimableOf[actors[i]] == 0) continue;
            vm.prank(actors[i]);
            disputes.claim(actors[i]);
            claimableOf[actors[i]] = 0;
        }
        if (toBurn != 0) disputes.burn();
        toBurn = 0;
    }

    // ---- inside

    function _settle(uint256 i) private returns (bool) {
        Tracked memory request = tracked[i];
        (RequestState state,, uint40 settleAt,) = system.oracle.stateOf(request.requestId);
        uint256 time = vm.getBlockTimestamp();
        if (state == RequestState.Answered) {
            if (time < settleAt) return false;
        } else if (state != RequestState.RevealPending || time <= system.oracle.disputeLimit(request.terms)) {
            return false;
        }
        system.oracle.settle(IInferenceOracle.SettleItem(request.terms, request.commitment, request.result));
        ++done[state == RequestState.Answered ? "settle" : "settlePastTheLimit"];
        return true;
    }

    function _live(uint256 seed) private view returns (uint256) {
        for (uint256 j; j < tracked.length; ++j) {
            uint256 i = ((seed >> 64) % tracked.length + j) % tracked.length;
            (RequestState state,, uint40 settleAt,) = system.oracle.stateOf(tracked[i].requestId);
            if (state == RequestState.RevealPending) return i;
            if (state == RequestState.Answered && vm.getBlockTimestamp() < settleAt) return i;
        }
        return NONE;
    }

    function _meetable(uint256 seed) private view returns (uint256) {
        for (uint256 j; j < pending.length; ++j) {
            uint256 place = (seed % pending.length + j) % pending.length;
            if (vm.getBlockTimestamp() > pending[place].deadline) continue;
            if (_stateOf(pending[place].requestId) == RequestState.RevealPending) return place;
        }
        return NONE;
    }

    function _indexOf(bytes32 requestId) private view returns (uint256 i) {
        while (tracked[i].requestId != requestId) ++i;
    }

    function _claim(uint256 i) private view returns (IFraudVerifier.Claim memory) {
        return IFraudVerifier.Claim({
            programRoot: _modelTerms(Tier.Exact).programRoot,
            inputHash: tracked[i].terms.inputHash,
            resultHash: tracked[i].commitment.resultHash,
            traceRoot: tracked[i].commitment.traceRoot
        });
    }

    function _proof(uint256 i, uint256 version) private view returns (bytes memory) {
        return verifier.proofOf(_claim(i), Verdict.Violated, version);
    }

    function _announcement(uint256 i, address account, uint256 version) private view returns (bytes32) {
        return disputes.announcementOf(account, tracked[i].requestId, keccak256(_proof(i, version)), 0);
    }

    function _signed(uint256 i, bytes32 resultHash) private view returns (SignedAnswer memory signed) {
        Tracked memory request = tracked[i];
        signed.answer = Answer({
            requestId: request.requestId,
            operator: request.commitment.operator,
            modelId: request.terms.modelId,
            inputHash: request.terms.inputHash,
            resultHash: resultHash,
            traceRoot: request.commitment.traceRoot
        });
        signed.signature = _sign(signerKey, system.oracle.answerDigest(signed.answer));
    }
}
