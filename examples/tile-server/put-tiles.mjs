// Draws the tiles of a small world and puts each as an object of its own, then the page that shows them.
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { openVault } from 'holdfast';
import { encodePng } from './png.mjs';

const { values } = parseArgs({
  options: { home: { type: 'string' }, zoom: { type: 'string', default: '3' } },
});
const maxZoom = Number(values.zoom);
if (!Number.isInteger(maxZoom) || maxZoom < 0 || maxZoom > 6) throw new Error('--zoom is from 0 to 6');

const SIZE = 256;
/** Tiles on their way at once. */
const AT_ONCE = 8;

/** Land and sea of a made-up planet, with the tile's border drawn in. */
function drawTile(zoom, column, row) {
  const scale = (2 * Math.PI) / (SIZE * 2 ** zoom);
  return encodePng(SIZE, (x, y) => {
    if (x === 0 || y === 0) return [40, 40, 40];
    const [u, v] = [(column * SIZE + x) * scale, (row * SIZE + y) * scale];
    const height =
      Math.sin(3 * u) * Math.cos(2 * v) + 0.5 * Math.sin(7 * u + 3 * v) + 0.25 * Math.cos(17 * u - 11 * v);
    return height > 0.3 ? [90, 140 + 60 * height, 70] : [40, 90, 170 + 40 * height];
  });
}

function* tiles() {
  for (let zoom = 0; zoom <= maxZoom; zoom++) {
    for (let x = 0; x < 2 ** zoom; x++) for (let y = 0; y < 2 ** zoom; y++) yield { zoom, x, y };
  }
}

const vault = await openVault({ home: values.home });
try {
  const queue = tiles();
  let count = 0;
  const work = async () => {
    for (const { zoom, x, y } of queue) {
      const name = `tiles/${zoom}/${x}/${y}.png`;
      await vault.putObject(drawTile(zoom, x, y), { name, contentType: 'image/png' });
      count++;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const page = await readFile(new URL('./map.html', import.meta.url));
  const { certificate } = await vault.putObject(page, {
    name: 'map.html',
    contentType: 'text/html; charset=utf-8',
  });
  console.log(`${count} tiles and map.html; any ${certificate.tolerates} of the providers may vanish`);
} finally {
  await vault.close();
}
