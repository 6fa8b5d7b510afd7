"use strict";
// The adapter's side of the protocol, for adapters in JavaScript. It is what serve.py is for those in Python.
const crypto = require("crypto");
const fs = require("fs");
const path = require("path");
const readline = require("readline");

function write(content) {
  const line = Buffer.from(JSON.stringify(content) + "\n");
  for (let sent = 0; sent < line.length; ) sent += fs.writeSync(1, line, sent);
}

// Returns the path of a file of an installed package, also of one that its package.json does not export.
function packagedFile(name) {
  const folder = process.env.NODE_PATH.split(path.delimiter).find((each) => fs.existsSync(path.join(each, name)));
  if (!folder) throw new Error(`${name} is not in ${process.env.NODE_PATH}`);
  return path.join(folder, name);
}

// Makes the WebAssembly backend of TensorFlow.js with one thread the one that `tf` uses.
async function useWasm(tf, wasm) {
  wasm.setThreadsCount(1);
  wasm.setWasmPaths(path.dirname(packagedFile("@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm")) + path.sep);
  if (!(await tf.setBackend("wasm"))) throw new Error("TensorFlow.js has no WebAssembly backend here");
  await tf.ready();
}

// `load` resolves to the path of the model file and a function: gray bytes, side -> probabilities.
async function serve(peer, load) {
  if (process.argv[2] === "describe") return write(peer);
  console.log = console.info = console.error; // whatever the package prints goes to standard error
  const [file, classify] = await load();
  const content = fs.readFileSync(file);
  const digest = crypto.createHash("sha256").update(content).digest("hex");
  write({ model_bytes: content.length, model_sha256: digest });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    const probabilities = [];
    const milliseconds = [];
    for (const face of request.faces) {
      const gray = Uint8Array.from(Buffer.from(face, "base64"));
      const start = performance.now();
      const row = await classify(gray, request.side);
      milliseconds.push(performance.now() - start);
      probabilities.push(Array.from(row));
    }
    write({ probabilities, milliseconds });
  }
}

module.exports = { packagedFile, serve, useWasm };
