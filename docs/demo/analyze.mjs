// node analyze.mjs MODELS < requests: one JSON object per line, {width, height, file} with a file of
// RGBA bytes; answers with the faces. For the comparison with Python.
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { Fastfer } from "./fastfer.js";

const require = createRequire(`${process.cwd()}/`);
const ort = await import(pathToFileURL(require.resolve("onnxruntime-web")).href);
ort.env.wasm.numThreads = 1;
const fastfer = await Fastfer.create(ort, (name) => readFile(`${process.argv[2]}/${name}`));
for await (const line of createInterface({ input: process.stdin })) {
  const { width, height, file } = JSON.parse(line);
  console.log(JSON.stringify(await fastfer.analyze({ width, height, data: await readFile(file) })));
}
process.exit(0);
