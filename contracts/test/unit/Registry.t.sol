// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

import {Test} from "forge-std/Test.sol";

import {IModelRegistry} from "../../src/interfaces/IModelRegistry.sol";
import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {ModelTerms, Tier, UNCERTIFIED} from "../../src/types/ModelTerms.sol";
import {Shipped} from "../support/Shipped.sol";

contract RegistryTest is Test {
    ModelRegistry private registry = Shipped.registry(makeAddr("court"), 600, 7 days);
    address private registrar = makeAddr("registrar");

    function test_Register_StoresWhatTheContractsNeed() public {
        ModelTerms memory terms = _terms();
        bytes32 modelId = keccak256(abi.encode(registrar, terms));
        assertEq(registry.modelIdOf(terms, registrar), modelId);
        vm.expectEmit(address(registry));
        emit IModelRegistry.ModelRegistered(modelId, registrar, terms, "name", "{}", "uri");
        assertEq(_register(terms), modelId);

        IModelRegistry.Model memory model = registry.models(modelId);
        assertEq(model.minBond, terms.minBond);
        assertEq(model.challengeWindow, terms.challengeWindow);
        assertEq(model.revealWindow, terms.revealWindow);
        assertEq(model.registeredAt, block.timestamp);
        assertEq(model.deprecatedAt, 0);
        assertEq(uint256(model.tier), uint256(terms.tier));
        assertEq(registry.registrarOf(modelId), registrar);
        assertEq(registry.epsilonOf(modelId), terms.epsilon);
    }

    function test_EpsilonOf_IsPartOfTheModel() public {
        ModelTerms memory terms = _terms();
        uint96[4] memory epsilons = [0, 1, UNCERTIFIED - 1, UNCERTIFIED];
        bytes32 previous;
        for (uint256 i; i < epsilons.length; ++i) {
            terms.epsilon = epsilons[i];
            bytes32 modelId = _register(terms);
            assertNotEq(modelId, previous);
            assertEq(registry.epsilonOf(modelId), epsilons[i]);
            previous = modelId;
        }
        assertEq(registry.epsilonOf(keccak256("unknown")), UNCERTIFIED, "what nobody registered is not exact");
    }

    function test_Deprecate_ByTheRegistrarOnce() public {
        bytes32 modelId = _register(_terms());
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotRegistrar.selector, modelId, address(this), registrar));
        registry.deprecate(modelId);
        vm.startPrank(registrar);
        vm.expectEmit(address(registry));
        emit IModelRegistry.ModelDeprecated(modelId);
        registry.deprecate(modelId);
        assertEq(registry.models(modelId).deprecatedAt, block.timestamp);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ModelAlreadyDeprecated.selector, modelId));
        registry.deprecate(modelId);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ModelUnknown.selector, bytes32(0)));
        registry.deprecate(bytes32(0));
    }

    function test_RevertWhen_ModelExistsForTheSameRegistrar() public {
        bytes32 modelId = _register(_terms());
        _expect(abi.encodeWithSelector(IModelRegistry.ModelExists.selector, modelId), _terms());
        registrar = makeAddr("another");
        assertNotEq(_register(_terms()), modelId);
    }

    function test_RevertWhen_TermsAreNotAdmissible() public {
        ModelTerms memory terms = _terms();
        terms.programRoot = 0;
        _expect(abi.encodeWithSelector(IModelRegistry.ProgramRootMissing.selector), terms);
        terms = _terms();
        terms.schemaHash = 0;
        _expect(abi.encodeWithSelector(IModelRegistry.SchemaHashMismatch.selector, 0, keccak256("{}")), terms);
        terms = _terms();
        terms.revealWindow = 0;
        _expect(abi.encodeWithSelector(IModelRegistry.RevealWindowMissing.selector), terms);
        terms.tier = Tier.Unproven;
        _register(terms);
        terms = _terms();
        terms.revealWindow = terms.challengeWindow + 1;
        _expect(abi.encodeWithSelector(IModelRegistry.RevealWindowTooLong.selector, 3_601, 3_600), terms);
        terms.revealWindow = terms.challengeWindow;
        _register(terms);
    }

    function test_RevertWhen_ChallengeWindowIsOutOfBounds() public {
        ModelTerms memory terms = _terms();
        terms.revealWindow = 1;
        uint32[2] memory wrong = [uint32(599), 7 days + 1];
        for (uint256 i; i < 2; ++i) {
            terms.challengeWindow = wrong[i];
            _expect(
                abi.encodeWithSelector(IModelRegistry.ChallengeWindowOutOfBounds.selector, wrong[i], 600, 7 days), terms
            );
        }
        uint32[2] memory right = [uint32(600), 7 days];
        for (uint256 i; i < 2; ++i) {
            terms.challengeWindow = right[i];
            _register(terms);
        }
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.ChallengeWindowOutOfBounds.selector, 2, 0, 1));
        new ModelRegistry(address(0), 2, 1);
    }

    function test_Register_AnyTierWithoutACourt() public {
        registry = Shipped.registry(address(0), 600, 7 days);
        ModelTerms memory terms = _terms();
        for (uint256 tier; tier <= uint256(type(Tier).max); ++tier) {
            terms.tier = Tier(tier);
            bytes32 modelId = _register(terms);
            assertEq(uint256(registry.models(modelId).tier), tier);
        }
    }

    function _terms() private pure returns (ModelTerms memory) {
        return ModelTerms({
            programRoot: keccak256("program"),
            profileHash: keccak256("profile"),
            schemaHash: keccak256("{}"),
            tier: Tier.Exact,
            challengeWindow: 3_600,
            revealWindow: 1_800,
            minBond: 1e18,
            epsilon: 1e15
        });
    }

    function _register(ModelTerms memory terms) private returns (bytes32) {
        vm.prank(registrar);
        return registry.register(terms, "name", "{}", "uri");
    }

    function _expect(bytes memory reason, ModelTerms memory terms) private {
        vm.prank(registrar);
        vm.expectRevert(reason);
        registry.register(terms, "name", "{}", "uri");
    }
}
