// Compiles the contract of the `evm` anchor, unless what is there was made of the same source by the same compiler and
// settings. `--print` compiles in any case, and prints instead of writing.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ROOT } from './house.mjs';

const require = createRequire(import.meta.url);
const { values: options } = parseArgs({ options: { print: { type: 'boolean', default: false } } });

const FILE = 'HoldfastAnchor.sol';
const FOLDER = join(ROOT, 'src/receipts/anchors/evm');
const OUT = join(FOLDER, 'contract.ts');

const input = {
  language: 'Solidity',
  sources: { [FILE]: { content: readFileSync(join(FOLDER, FILE), 'utf8') } },
  settings: {
    evmVersion: 'paris',
    optimizer: { enabled: true, runs: 200 },
    // A hash of the source's comments, too, would be in the code.
    metadata: { bytecodeHash: 'none', appendCBOR: false },
    outputSelection: { '*': { '*': ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object'] } },
  },
};
const { version } = require('solc/package.json');
const made = createHash('sha256').update(JSON.stringify({ version, input })).digest('hex');

const isCurrent = () => existsSync(OUT) && readFileSync(OUT, 'utf8').includes(made);

if (options.print) process.stdout.write(compile());
else if (!isCurrent()) writeFileSync(OUT, compile());

function compile() {
  const { errors = [], contracts } = JSON.parse(require('solc').compile(JSON.stringify(input)));
  if (errors.length > 0) throw new Error(errors.map(({ formattedMessage }) => formattedMessage).join('\n'));
  const { abi, evm } = contracts[FILE].HoldfastAnchor;
  return `// Made by scripts/contract.mjs of ${FILE}, with solc ${version}: do not change it by hand.
// ${made}

export const ABI = ${JSON.stringify(abi)} as const;

/** What makes the contract. */
export const CREATION_CODE = '0x${evm.bytecode.object}' as const;

/** What is at its address then. */
export const RUNTIME_CODE = '0x${evm.deployedBytecode.object}' as const;
`;
}
