// Copies what Python needs of forge's artifacts into a directory: ABI, creation bytecode and runtime size, sorted.
"use strict";
const fs = require("fs");
const path = require("path");

const CONTRACTS = [
  "AnswerViews",
  "ArithmeticRules",
  "ChequeClearing",
  "DisputeManager",
  "ElementaryRules",
  "FraudVerifier",
  "IInferenceConsumer",
  "IProof",
  "IViewGateway",
  "InferenceConsumer",
  "InferenceOracle",
  "ModelRegistry",
  "OPGToken",
  "OperatorStaking",
  "QuantisedRules",
  "SelectionRules",
  "SumRules",
  "ViewCredit",
];
const ARTIFACTS = path.join(__dirname, "..", ".build", "forge-ship");
const target = process.argv[2];

const signature = (entry) =>
  `${entry.type} ${entry.name ?? ""}(${(entry.inputs ?? []).map((input) => input.type).join(",")})`;

fs.mkdirSync(target, { recursive: true });
for (const contractName of CONTRACTS) {
  const file = path.join(ARTIFACTS, `${contractName}.sol`, `${contractName}.json`);
  const artifact = JSON.parse(fs.readFileSync(file, "utf8"));
  // An error declared in a library and in an interface is listed twice by the compiler.
  const entries = new Map(artifact.abi.map((entry) => [signature(entry), entry]));
  const abi = [...entries.keys()].sort().map((key) => entries.get(key));
  const { object: bytecode } = artifact.bytecode;
  const runtimeBytes = (artifact.deployedBytecode.object.length - 2) / 2;
  const content = { abi, bytecode, contractName, runtimeBytes };
  fs.writeFileSync(path.join(target, `${contractName}.json`), JSON.stringify(content, null, 2) + "\n");
}
