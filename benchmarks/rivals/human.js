// @vladmandic/human on node with the wasm backend, for taggers.py: lists of JPEG files in, CSV files out.
//
//     NODE_PATH=.../node_modules node human.js wasm
//
// Speaks as tag_files.py does. Of a face: box, mesh, age, sex and emotion with its description, as the library's default
// settings have them; iris, gestures, bodies and hands are off, for they are no attributes. All faces are asked for and
// not one, and nothing is taken over from the file before: those settings are for video. sharp decodes, because the
// library has no decoder of its own on this backend, and sharp's is the fastest that npm offers.

const fs = require('fs');
const path = require('path');
const readline = require('readline');
const { fileURLToPath, pathToFileURL } = require('url');

const WASM = path.dirname(require.resolve('@tensorflow/tfjs-backend-wasm')) + '/';
const BUILDS = path.dirname(require.resolve('@vladmandic/human')); // its package names no build for this backend
const { Human } = require(path.join(BUILDS, 'human.node-wasm.js'));
const sharp = require('sharp');

const COLUMNS = ['file', 'x', 'y', 'width', 'height', 'age', 'sex', 'emotion'];
const SETTINGS = {
  backend: 'wasm',
  wasmPath: WASM,
  modelBasePath: pathToFileURL(path.join(BUILDS, '../models')).href + '/',
  cacheSensitivity: 0,
  gesture: { enabled: false },
  body: { enabled: false },
  hand: { enabled: false },
  face: { detector: { maxDetected: 100 }, iris: { enabled: false } },
};

// The models lie on disk, and node's fetch knows no file: addresses.
const overNetwork = globalThis.fetch;
globalThis.fetch = async (address, options) => {
  if (!String(address).startsWith('file:')) return overNetwork(address, options);
  return new Response(await fs.promises.readFile(fileURLToPath(String(address))));
};

async function rowsOf(human, file) {
  const { data, info } = await sharp(file).removeAlpha().toColourspace('srgb').raw().toBuffer({ resolveWithObject: true });
  const picture = human.tf.tensor3d(data, [info.height, info.width, 3], 'int32');
  const result = await human.detect(picture);
  human.tf.dispose(picture);
  if (result.error) throw new Error(result.error);
  return result.face.map((face) => [file, ...face.box, face.age, face.gender, face.emotion?.[0]?.emotion ?? '']);
}

async function tagFiles(human, files, out) {
  const rows = [];
  for (const file of files) rows.push(...(await rowsOf(human, file)));
  fs.writeFileSync(out, [COLUMNS, ...rows].map((row) => row.join(',') + '\n').join(''));
  return rows.length;
}

async function main() {
  const human = new Human(SETTINGS);
  await human.load();
  if (human.tf.getBackend() !== 'wasm') throw new Error(`the backend is ${human.tf.getBackend()}`);
  console.log(JSON.stringify({ ready: true }));
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { files, out } = JSON.parse(line);
    console.log(JSON.stringify({ faces: await tagFiles(human, files, out) }));
  }
}

main().catch((error) => {
  console.error(error.stack);
  console.error(error.message);
  process.exit(1);
});
