// Overwrites one name until standard input ends, then prints how often. Usage: overwriter.mjs <library> <home> <config> <bytes>
import { stamped } from './stamped.mjs';

const [library, home, config, bytes] = process.argv.slice(2);
const { openVault } = await import(library);
const vault = await openVault({ home, config });
let ended = false;
process.stdin.resume().once('end', () => {
  ended = true;
});
let version = 1;
for (; !ended; version++) await vault.putObject(stamped(version, 0, Number(bytes)), { name: 'x' });
await vault.close();
console.log(version);
