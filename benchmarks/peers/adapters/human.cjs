"use strict";
// The package human: its model `emotion`, prepared as src/gear/emotion.ts prepares a gray face.
const fs = require("fs");
const { packagedFile, serve, useWasm } = require("../serve.cjs");

const PEER = {
  name: "human",
  version: "3.3.6",
  packages: ["@vladmandic/human@3.3.6"],
  runtime: ["@tensorflow/tfjs-core@4.22.0", "@tensorflow/tfjs-converter@4.22.0", "@tensorflow/tfjs-backend-wasm@4.22.0"],
  labels: ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"],
  input: "64 x 64 gray, -1 to 1; run by tfjs-wasm",
  training_data:
    "FER2013: the file of the model names oarriaga/face_classification. If it was trained by the code there, it learned " +
    "from Training; its epoch and learning rate were chosen on PublicTest and PrivateTest together.",
  source:
    "models/emotion.json of the package, " +
    "https://github.com/oarriaga/face_classification/blob/master/src/train_emotion_classifier.py",
};
const SIDE = 64;

async function load() {
  const tf = require("@tensorflow/tfjs-core");
  const { loadGraphModel } = require("@tensorflow/tfjs-converter");
  await useWasm(tf, require("@tensorflow/tfjs-backend-wasm"));
  const description = JSON.parse(fs.readFileSync(packagedFile("@vladmandic/human/models/emotion.json")));
  const file = packagedFile("@vladmandic/human/models/emotion.bin");
  const model = await loadGraphModel(
    tf.io.fromMemory({
      modelTopology: description.modelTopology,
      weightSpecs: description.weightsManifest[0].weights,
      weightData: Uint8Array.from(fs.readFileSync(file)).buffer,
    }),
  );
  const classify = async (gray, side) => {
    const output = tf.tidy(() => {
      const face = tf.div(tf.tensor4d(Float32Array.from(gray), [1, side, side, 1]), 255);
      return model.execute(tf.mul(tf.sub(tf.image.resizeBilinear(face, [SIDE, SIDE], false), 0.5), 2));
    });
    const probabilities = await output.data();
    output.dispose();
    return probabilities;
  };
  return [file, classify];
}

serve(PEER, load);
