// Writes the ABIs that dApps call by into a directory, as arrays and without bytecode: as ethers and viem take them.
"use strict";
const fs = require("fs");
const path = require("path");

const CONTRACTS = ["DisputeManager", "IInferenceConsumer", "InferenceOracle", "ModelRegistry", "OperatorStaking"];
const source = path.join(__dirname, "..", "abi");
const target = process.argv[2];

fs.mkdirSync(target, { recursive: true });
for (const name of CONTRACTS) {
  const { abi } = JSON.parse(fs.readFileSync(path.join(source, `${name}.json`), "utf8"));
  fs.writeFileSync(path.join(target, `${name}.json`), JSON.stringify(abi, null, 2) + "\n");
}
