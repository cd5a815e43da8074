// Asks for an answer in a view as a page would, with viem: prints the request's id and the result as JSON.
// Usage: node view_with_viem.mjs RPC_URL VIEWS ABI_FILE OPERATOR MODEL_ID INPUT CALLER
import { readFileSync } from "node:fs";
import { createPublicClient, http } from "viem";

const [rpcUrl, address, abiFile, operator, modelId, input, account] = process.argv.slice(2);
const client = createPublicClient({ transport: http(rpcUrl) });
const { abi } = JSON.parse(readFileSync(abiFile, "utf8"));
const args = [operator, modelId, input];
const answer = await client.readContract({ address, abi, functionName: "answerOf", args, account });
console.log(JSON.stringify({ result: answer[0], requestId: answer[1] }));
