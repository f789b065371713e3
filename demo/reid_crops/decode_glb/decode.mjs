// node decode.mjs OUTPUT_FOLDER FILE.glb...
// Writes for each rigged GLB file a NAME.json that describes NAME.bin: consecutive little-endian arrays.
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { writeFileSync } from 'node:fs';

// packages are searched beside the script or in the folder that NODE_PACKAGES names
const require = createRequire(join(process.env.NODE_PACKAGES ?? import.meta.dirname, 'package.json'));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const [{ NodeIO }, { ALL_EXTENSIONS }, { MeshoptDecoder }] = await Promise.all(
  ['@gltf-transform/core', '@gltf-transform/extensions', 'meshoptimizer'].map(load));

await MeshoptDecoder.ready;
const io = new NodeIO().registerExtensions(ALL_EXTENSIONS).registerDependencies({ 'meshopt.decoder': MeshoptDecoder });
const [output, ...files] = process.argv.slice(2);

// getElement undoes the quantisation of normalised integers
function floats(accessor) {
  const width = accessor.getElementSize();
  const values = new Float32Array(accessor.getCount() * width);
  for (let i = 0; i < accessor.getCount(); i++) values.set(accessor.getElement(i, []), i * width);
  return values;
}

for (const file of files) {
  const root = (await io.read(file)).getRoot();
  const chunks = [];
  const arrays = [];
  const add = (name, dtype, shape, values) => {
    arrays.push({ name, dtype, shape });
    chunks.push(Buffer.from(values.buffer, values.byteOffset, values.byteLength));
  };
  const meshes = [];
  const textures = new Map();
  let joints = null;
  for (const node of root.listNodes()) {
    if (!node.getMesh() || !node.getSkin()) continue;
    const skin = node.getSkin();
    joints ??= skin.listJoints();
    for (const primitive of node.getMesh().listPrimitives()) {
      if (!['TEXCOORD_0', 'JOINTS_0', 'WEIGHTS_0'].every((name) => primitive.getAttribute(name))) {
        console.error(`${basename(file)}: ${node.getMesh().getName()} has no texture or no bones, left out`);
        continue;
      }
      const id = meshes.length;
      const count = primitive.getAttribute('POSITION').getCount();
      const material = primitive.getMaterial().getName();
      textures.set(material, primitive.getMaterial().getBaseColorTexture().getImage());
      meshes.push({ name: node.getMesh().getName(), material, joints: skin.listJoints().map((joint) => joint.getName()) });
      add(`${id}/position`, '<f4', [count, 3], floats(primitive.getAttribute('POSITION')));
      add(`${id}/uv`, '<f4', [count, 2], floats(primitive.getAttribute('TEXCOORD_0')));
      add(`${id}/joints`, '<f4', [count, 4], floats(primitive.getAttribute('JOINTS_0')));
      add(`${id}/weights`, '<f4', [count, 4], floats(primitive.getAttribute('WEIGHTS_0')));
      const indices = Uint32Array.from(primitive.getIndices().getArray());
      add(`${id}/triangles`, '<u4', [indices.length / 3, 3], indices);
      const bind = floats(skin.getInverseBindMatrices());
      add(`${id}/inverse_bind`, '<f4', [bind.length / 16, 4, 4], bind);
    }
  }
  for (const [material, image] of textures) add(`texture/${material}`, '|u1', [image.length], image);
  const skeleton = joints.map((joint) => ({
    name: joint.getName(), parent: joint.getParentNode()?.getName() ?? null, world: joint.getWorldMatrix() }));
  const name = join(output, basename(file, '.glb'));
  writeFileSync(`${name}.bin`, Buffer.concat(chunks));
  writeFileSync(`${name}.json`, JSON.stringify({ meshes, arrays, skeleton }));
}
