"use strict";
// The package face-api: its network for expressions, run by the package itself.
const path = require("path");
const { packagedFile, serve, useWasm } = require("../serve.cjs");

const PEER = {
  name: "face-api",
  version: "1.7.15",
  packages: ["@vladmandic/face-api@1.7.15"],
  runtime: ["@tensorflow/tfjs@4.22.0", "@tensorflow/tfjs-backend-wasm@4.22.0"],
  labels: ["neutral", "happy", "sad", "angry", "fear", "disgust", "surprise"],
  input: "112 x 112, the gray level three times; run by tfjs-wasm",
  training_data:
    "Public data sets that are not named, and images from the web. It may have learned from any row of FER2013.",
  source: "https://github.com/justadudewhohacks/face-api.js#models-face-expression-recognition",
};

async function load() {
  // First: the package takes the backends that are registered.
  const wasm = require("@tensorflow/tfjs-backend-wasm");
  const { nets, tf } = require(packagedFile("@vladmandic/face-api/dist/face-api.node-wasm.js"));
  await useWasm(tf, wasm);
  const file = packagedFile("@vladmandic/face-api/model/face_expression_model.bin");
  const net = nets.faceExpressionNet;
  await net.loadFromDisk(path.dirname(file));
  const classify = async (gray, side) => {
    const rgb = Float32Array.from({ length: 3 * gray.length }, (_, index) => gray[Math.floor(index / 3)]);
    const face = tf.tensor3d(rgb, [side, side, 3]);
    const found = await net.predictExpressions(face);
    face.dispose();
    const names = ["neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised"]; // in the order of labels
    return names.map((name) => found[name]);
  };
  return [file, classify];
}

serve(PEER, load);
